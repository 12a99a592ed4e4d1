import { useConversation } from "@frontdesk/react";
import { type ReactElement, useEffect } from "react";
import { FlatList, KeyboardAvoidingView, Pressable, Text, View } from "react-native";
import { Approval } from "./approval.tsx";
import { Composer } from "./composer.tsx";
import { Message } from "./message.tsx";
import { sheet } from "./sheet.ts";
import { emptyInWords } from "./words.ts";

export function ConversationScreen(props: {
  readonly id?: string;
  readonly leave: () => void;
}): ReactElement {
  const { conversation, view } = useConversation(props.id);
  const last = view.messages.at(-1)?.id;
  useEffect(() => {
    if (view.isUnread && last !== undefined) void conversation.read(last);
  }, [conversation, view.isUnread, last]);
  return (
    <KeyboardAvoidingView style={sheet.page} behavior="padding">
      <View style={sheet.bar}>
        <Pressable accessibilityRole="button" onPress={props.leave}>
          <Text style={sheet.action}>Back</Text>
        </Pressable>
        <Text style={sheet.title} accessibilityRole="header" numberOfLines={1}>
          {view.title ?? "New conversation"}
        </Text>
      </View>
      <FlatList
        inverted
        style={sheet.page}
        data={[...view.messages].reverse()}
        keyExtractor={(message) => message.id}
        ListEmptyComponent={<Text style={sheet.aside}>{emptyInWords(view.status)}</Text>}
        renderItem={({ item }) => <Message message={item} conversation={conversation} />}
      />
      {view.calls
        .filter((call) => call.status === "asked" || call.status === "interrupted")
        .map((call) => (
          <Approval key={call.call} call={call} conversation={conversation} />
        ))}
      {view.status !== "gone" && view.status !== "missing" && (
        <Composer conversation={conversation} isBusy={view.isBusy} />
      )}
    </KeyboardAvoidingView>
  );
}
