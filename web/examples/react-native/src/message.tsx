import type { Conversation, MessageView } from "@frontdesk/client";
import { usePaced } from "@frontdesk/react";
import { memo, type ReactElement } from "react";
import { Pressable, Text, View } from "react-native";
import { sheet } from "./sheet.ts";
import { turnInWords } from "./words.ts";

/** A message, how far it is, and what can be done about it. */
export const Message = memo(function Message(props: {
  readonly message: MessageView;
  readonly conversation: Conversation;
}): ReactElement {
  const { message, conversation } = props;
  const { turn } = message;
  const shown = usePaced(message.text, turn?.state !== "writing");
  const words = turn === undefined ? undefined : turnInWords(turn, Date.now());
  const isMine = message.role === "user";
  const again = async () => {
    // What was refused is sent again; what arrived and failed is answered again.
    if (!(await conversation.retry(message.id))) await conversation.again(message.id);
  };
  return (
    <View style={isMine ? sheet.mine : sheet.theirs}>
      <Text style={sheet.text}>{shown}</Text>
      {words !== undefined && <Text style={sheet.aside}>{words}</Text>}
      {isMine && (turn?.remedy === "again" || turn?.remedy === "later") && (
        <Pressable accessibilityRole="button" onPress={() => void again()}>
          <Text style={sheet.action}>Try again</Text>
        </Pressable>
      )}
      {isMine && turn?.state === "saved" && (
        <Pressable
          accessibilityRole="button"
          onPress={() => void conversation.withdraw(message.id)}
        >
          <Text style={sheet.action}>Take back</Text>
        </Pressable>
      )}
    </View>
  );
});
