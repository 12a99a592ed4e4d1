import { useConversations } from "@frontdesk/react";
import type { ReactElement } from "react";
import { FlatList, Pressable, Text, View } from "react-native";
import { sheet } from "./sheet.ts";

export function ListScreen(props: {
  readonly open: (id: string) => void;
  readonly begin: () => void;
}): ReactElement {
  const conversations = useConversations();
  return (
    <View style={sheet.page}>
      <View style={sheet.bar}>
        <Text style={sheet.title} accessibilityRole="header">
          Conversations
        </Text>
        <Pressable accessibilityRole="button" onPress={props.begin}>
          <Text style={sheet.action}>New</Text>
        </Pressable>
      </View>
      <FlatList
        data={conversations}
        keyExtractor={(each) => each.id}
        ListEmptyComponent={<Text style={sheet.aside}>Nothing was said yet.</Text>}
        renderItem={({ item: each }) => (
          <Pressable
            style={sheet.row}
            accessibilityRole="button"
            onPress={() => props.open(each.id)}
          >
            <Text style={each.isUnread ? sheet.unread : sheet.text} numberOfLines={1}>
              {each.title ?? "New conversation"}
            </Text>
            {each.isBusy && <Text style={sheet.aside}>…</Text>}
          </Pressable>
        )}
      />
    </View>
  );
}
