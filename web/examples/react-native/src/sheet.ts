import { StyleSheet } from "react-native";

export const sheet = StyleSheet.create({
  page: { flex: 1 },
  bar: { flexDirection: "row", alignItems: "center", gap: 12, padding: 12 },
  row: { flexDirection: "row", justifyContent: "space-between", padding: 16 },
  mine: {
    alignSelf: "flex-end",
    maxWidth: "85%",
    margin: 8,
    padding: 12,
    backgroundColor: "#dbe7ff",
    borderRadius: 16,
  },
  theirs: { alignSelf: "flex-start", maxWidth: "95%", margin: 8, padding: 12 },
  notice: { padding: 12, backgroundColor: "#fff3d6" },
  title: { flex: 1, fontSize: 18, fontWeight: "600" },
  input: { flex: 1, minHeight: 44, fontSize: 16 },
  text: { fontSize: 16 },
  unread: { fontSize: 16, fontWeight: "700" },
  aside: { fontSize: 13, color: "#5a5a5a", padding: 4 },
  action: { fontSize: 16, color: "#0b57d0", padding: 8 },
});
