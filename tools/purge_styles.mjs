// Drops the rules that no word of the site can match.
//
// In:  {files: [...], words: [...]} as JSON, and the folder of the npm packages as the argument.
// Out: {file: CSS} as JSON.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { PurgeCSS } = createRequire(`${process.argv[2]}/package.json`)("purgecss");
const { files, words } = JSON.parse(readFileSync(0, "utf8"));
const content = [{ raw: words.join(" "), extension: "html" }];
const purged = await new PurgeCSS().purge({ content, css: files });
process.stdout.write(JSON.stringify(Object.fromEntries(purged.map(({ file, css }) => [file, css]))));
