// One family: a 20 px grid, 1.5 px strokes, round ends, the colour of the text beside it.
// Icons say nothing to a screen reader; the words beside them do.

const shapes = {
  bell: "M4.25 13.25a5.75 5.75 0 0 1 11.5 0ZM3 16.25h14M10 7.5V5M8.25 4.75h3.5",
  plus: "M10 4.5v11M4.5 10h11",
  up: "M10 15.5v-11M5.25 9.25 10 4.5l4.75 4.75",
  down: "M10 4.5v11M5.25 10.75 10 15.5l4.75-4.75",
  stop: "M6.25 6.25h7.5v7.5h-7.5z",
  check: "m4.75 10.5 3.5 3.5 7-7.75",
  dots: "M5 10h.01M10 10h.01M15 10h.01",
  pen: "M4.25 15.75 5 12.5l8-8a1.6 1.6 0 0 1 2.5 2.5l-8 8zM4.25 15.75h11.5",
  tray: "M3.5 11.5v4.25h13V11.5M3.5 11.5l2-7h9l2 7M3.5 11.5h4l1 1.75h3l1-1.75h4",
  alert: "M10 6.25V11M10 13.75h.01M10 2.75a7.25 7.25 0 1 0 0 14.5 7.25 7.25 0 0 0 0-14.5Z",
  broken: "M3.5 10h4M12.5 10h4M8.75 6.5l2.5 7",
  again: "M15.75 10a5.75 5.75 0 1 1-1.9-4.3M15.75 3.5v3h-3",
  back: "M8 5 3.75 9.25 8 13.5M4 9.25h7.5a4.25 4.25 0 0 1 0 7H9",
  copy: "M7.25 7.25h8.5v8.5h-8.5zM12.75 4.25h-8.5v8.5",
  key: "M9.5 10.5 16 4M14 6l1.75 1.75M11.75 8.25l1.25 1.25M9.9 13.1a3.15 3.15 0 1 1-6.3 0 3.15 3.15 0 0 1 6.3 0Z",
  chevron: "m6 8 4 4 4-4",
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={shapes[name]} />
    </svg>
  );
}
