// What all peers share. The address and the key come from the environment, as they do for an app.

export const { OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey } = process.env;

export const WORDS = "Grüße an die 世界 🛎️";
export const MESSAGES = [
  { role: "system", content: "Be brief." },
  { role: "user", content: WORDS },
];

/** A tool that keeps what it was called with. */
export function forecast() {
  const calls = [];
  return {
    calls,
    tell(given) {
      calls.push(given);
      return `${given.days} sunny days in ${given.city}`;
    },
  };
}

/** What an app's server does when a person comes. */
export async function sessionToken(person) {
  const response = await fetch(new URL("/api/sessions", baseURL), {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}` },
    body: JSON.stringify(person),
  });
  return (await response.json()).token;
}
