// The app: a list of conversations, and one of them.

import type { Client } from "@frontdesk/client";
import { FrontdeskProvider, useClientView } from "@frontdesk/react";
import { type ReactElement, useState } from "react";
import { SafeAreaView, Text } from "react-native";
import { ConversationScreen } from "./conversation-screen.tsx";
import { ListScreen } from "./list-screen.tsx";
import { sheet } from "./sheet.ts";
import { clientInWords } from "./words.ts";

/** What is on the screen; "new" is a conversation in which nothing was said. */
type Place =
  | { readonly screen: "list" }
  | { readonly screen: "conversation"; readonly id?: string };

export function App({ client }: { readonly client: Client }): ReactElement {
  const [place, setPlace] = useState<Place>({ screen: "list" });
  return (
    <FrontdeskProvider client={client}>
      <SafeAreaView style={sheet.page}>
        <Notice />
        {place.screen === "list" ? (
          <ListScreen
            open={(id) => setPlace({ screen: "conversation", id })}
            begin={() => setPlace({ screen: "conversation" })}
          />
        ) : (
          <ConversationScreen
            {...(place.id !== undefined && { id: place.id })}
            leave={() => setPlace({ screen: "list" })}
          />
        )}
      </SafeAreaView>
    </FrontdeskProvider>
  );
}

function Notice(): ReactElement | null {
  const words = clientInWords(useClientView());
  if (words === undefined) return null;
  return (
    <Text style={sheet.notice} accessibilityLiveRegion="polite">
      {words}
    </Text>
  );
}
