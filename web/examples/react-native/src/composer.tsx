import type { Conversation } from "@frontdesk/client";
import { type ReactElement, useState } from "react";
import { Pressable, Text, TextInput, View } from "react-native";
import { sheet } from "./sheet.ts";

/** Where a message is written. It is cleared once the phone has kept what was said, and not before. */
export function Composer(props: {
  readonly conversation: Conversation;
  readonly isBusy: boolean;
}): ReactElement {
  const { conversation, isBusy } = props;
  const [draft, setDraft] = useState("");
  const send = async () => {
    await conversation.send(draft);
    setDraft((latest) => (latest === draft ? "" : latest));
  };
  return (
    <View style={sheet.bar}>
      <TextInput
        style={sheet.input}
        multiline
        accessibilityLabel="Message"
        placeholder="Message"
        value={draft}
        onChangeText={setDraft}
      />
      {isBusy && (
        <Pressable accessibilityRole="button" onPress={() => void conversation.stop()}>
          <Text style={sheet.action}>Stop</Text>
        </Pressable>
      )}
      <Pressable
        accessibilityRole="button"
        disabled={draft.trim() === ""}
        onPress={() => void send()}
      >
        <Text style={sheet.action}>Send</Text>
      </Pressable>
    </View>
  );
}
