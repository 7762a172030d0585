// node lint.mjs MODULES FILE...: what Redocly's strictest rules say of documents (OpenAPI and AsyncAPI); a line for each problem.
import { createRequire } from "node:module";

const [modules, ...files] = process.argv.slice(2);
const { createConfig, lint } = createRequire(`${modules}/`)("@redocly/openapi-core");
const examples = ["schema", "parameter", "media-type"].map((where) => [`no-invalid-${where}-examples`, "error"]);
const config = await createConfig({ extends: ["recommended-strict"], rules: Object.fromEntries(examples) });
for (const ref of files)
  for (const { ruleId, location, message } of await lint({ ref, config }))
    console.log(`${ref}${location[0].pointer} ${ruleId}: ${message}`);
