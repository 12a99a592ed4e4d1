import { packageBuild } from "../packaging/package-build.ts";

export default packageBuild(import.meta.url);
