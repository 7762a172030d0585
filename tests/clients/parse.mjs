// node parse.mjs MODULES FILE: reads an AsyncAPI document with the project's own parser; prints what it understood.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, file] = process.argv.slice(2);
const { Parser } = createRequire(`${modules}/`)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
const names = (all) => all.map((each) => each.id()).sort();
console.log(JSON.stringify({
  problems: diagnostics.filter((each) => each.code !== "asyncapi-latest-version").map((each) => `${each.path.join(".")}: ${each.message}`),
  channels: document && names(document.channels().all()),
  messages: document && names(document.messages().all()),
  operations: document && names(document.operations().all()),
}));
