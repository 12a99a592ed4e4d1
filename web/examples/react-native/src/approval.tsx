import type { CallView, Conversation } from "@frontdesk/client";
import type { ReactElement } from "react";
import { Pressable, Text, View } from "react-native";
import { sheet } from "./sheet.ts";

/** Asks whether a model may have something done on this phone. */
export function Approval(props: {
  readonly call: CallView;
  readonly conversation: Conversation;
}): ReactElement {
  const { call, conversation } = props;
  return (
    <View style={sheet.notice} accessibilityRole="alert">
      <Text style={sheet.text}>
        {call.status === "interrupted"
          ? `The app was closed while this was being done: ${call.title}. Do it again?`
          : `May this be done on your phone: ${call.title}?`}
      </Text>
      <View style={sheet.bar}>
        <Pressable accessibilityRole="button" onPress={() => void conversation.approve(call)}>
          <Text style={sheet.action}>Allow</Text>
        </Pressable>
        <Pressable accessibilityRole="button" onPress={() => void conversation.decline(call)}>
          <Text style={sheet.action}>Decline</Text>
        </Pressable>
      </View>
    </View>
  );
}
