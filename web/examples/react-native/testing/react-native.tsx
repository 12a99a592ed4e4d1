// Stands in for React Native where there is no phone: the few components that the app uses, as elements of a page, with no more
// props than it uses. Each type is a part of React Native's own.

import type { ReactElement, ReactNode } from "react";

type Style = Readonly<Record<string, string | number>>;
type Styles = Style | readonly (Style | false | undefined)[];

interface Common {
  readonly style?: Styles;
  readonly accessibilityLabel?: string;
  readonly accessibilityRole?: "alert" | "button" | "header" | "list";
  readonly accessibilityLiveRegion?: "none" | "polite" | "assertive";
  readonly children?: ReactNode;
}

function aria(props: Common) {
  return {
    "aria-label": props.accessibilityLabel,
    "aria-live": props.accessibilityLiveRegion === "polite" ? ("polite" as const) : undefined,
    role: props.accessibilityRole === "header" ? "heading" : props.accessibilityRole,
  };
}

export function View(props: Common): ReactElement {
  return <div {...aria(props)}>{props.children}</div>;
}

export const SafeAreaView = View;

export function KeyboardAvoidingView(
  props: Common & { readonly behavior?: "padding" },
): ReactElement {
  return <View {...props} />;
}

export function Text(props: Common & { readonly numberOfLines?: number }): ReactElement {
  return <span {...aria(props)}>{props.children}</span>;
}

export function Pressable(
  props: Common & { readonly onPress?: () => void; readonly disabled?: boolean },
): ReactElement {
  return (
    <button
      {...aria(props)}
      type="button"
      disabled={props.disabled}
      onClick={() => props.onPress?.()}
    >
      {props.children}
    </button>
  );
}

export function TextInput(
  props: Common & {
    readonly value?: string;
    readonly placeholder?: string;
    readonly multiline?: boolean;
    readonly onChangeText?: (text: string) => void;
  },
): ReactElement {
  return (
    <textarea
      aria-label={props.accessibilityLabel}
      placeholder={props.placeholder}
      value={props.value}
      onChange={(event) => props.onChangeText?.(event.target.value)}
    />
  );
}

export function FlatList<Item>(
  props: Omit<Common, "children"> & {
    readonly data: ArrayLike<Item>;
    readonly renderItem: (row: { readonly item: Item; readonly index: number }) => ReactElement;
    readonly keyExtractor?: (item: Item, index: number) => string;
    readonly ListEmptyComponent?: ReactElement;
    readonly inverted?: boolean;
  },
): ReactElement {
  const rows = Array.from(props.data, (item, index) => (
    <div key={props.keyExtractor?.(item, index) ?? index}>{props.renderItem({ item, index })}</div>
  ));
  return <div {...aria(props)}>{rows.length > 0 ? rows : props.ListEmptyComponent}</div>;
}

export const StyleSheet = {
  create<Sheet extends Readonly<Record<string, Style>>>(sheet: Sheet): Sheet {
    return sheet;
  },
};

type AppStateStatus = "active" | "background" | "inactive" | "unknown" | "extension";

export const AppState = {
  currentState: "active" as AppStateStatus,
  addEventListener(_: "change", listener: (state: AppStateStatus) => void) {
    void listener;
    return { remove() {} };
  },
};
