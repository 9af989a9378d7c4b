// Sets the formulas of pages with MathJax, as pictures with MathML for screen readers.
//
// In:  {page: [[TeX, whether it stands on a line of its own], ...]} as JSON, and the folder of the
//      npm packages as the argument.
// Out: {page: {formulas: [HTML, ...], glyphs: SVG}} as JSON. A page's formulas share their glyphs, and
//      one that comes again refers to its first picture.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.argv[2]}/package.json`);
const MathJax = await require("mathjax").init({
  loader: { load: ["input/tex-full", "output/svg"] },
  tex: { packages: { "[-]": ["noundefined", "noerrors"] } }, // a mistake stops the build
  svg: { fontCache: "global" },
});
const { adaptor, output } = MathJax.startup;

/** Drop what only MathJax's own menu and scripts would read: more than half of the markup. */
const lean = (html) =>
  html
    .replace(/ (data-mml-node|data-c|data-mjx-texclass|xmlns|xmlns:xlink|role|focusable)="[^"]*"/g, "")
    .replaceAll("xlink:href", "href")
    .replace(/MJX-(\d+-)?TEX-/g, "")
    .replaceAll("></use>", "/>")
    .replaceAll("></path>", "/>")
    .replaceAll("<g></g>", "")
    .replace(/<g>(<use [^>]*\/>)<\/g>/g, "$1")
    .replace(/<g transform="([^"]*)">(<use href="[^"]*")\/><\/g>/g, '$2 transform="$1"/>')
    .replace(/transform="translate\(([-\d.]+),0\)"\/>/g, 'x="$1"/>');

function set(tex, display) {
  const container = MathJax.tex2svg(tex, { display });
  const mistake = adaptor.outerHTML(container).match(/data-mjx-error="([^"]*)"/);
  if (mistake) throw new Error(`${mistake[1]}: ${tex}`);
  const picture = lean(adaptor.innerHTML(container)).replace("<svg ", '<svg aria-hidden="true" ');
  const mathml = MathJax.tex2mml(tex, { display })
    .replace(/>\s+</g, "><")
    .replace(/ (data-mjx-texclass|xmlns)="[^"]*"/g, "");
  return { picture, mathml };
}

const pages = JSON.parse(readFileSync(0, "utf8"));
for (const [page, formulas] of Object.entries(pages)) {
  output.clearFontCache();
  const known = new Map();
  const written = formulas.map(([tex, display]) => {
    const key = `${display} ${tex}`;
    let { picture, mathml } = known.get(key) ?? set(tex, display);
    if (!known.has(key)) {
      const id = `formula-${known.size}`;
      known.set(key, { picture: picture.replace(/(<svg .*?>).*(<\/svg>)/s, `$1<use href="#${id}"/>$2`), mathml });
      picture = picture.replace("<g ", `<g id="${id}" `);
    }
    const kind = display ? ' display="true" tabindex="0"' : ""; // one that is too wide scrolls, by keyboard too
    return `<mjx-container${kind}>${picture}<span class="formula-read">${mathml}</span></mjx-container>`;
  });
  const outlines = lean(adaptor.outerHTML(output.fontCache.getCache()));
  const glyphs = `<svg aria-hidden="true" style="display: none">${outlines}</svg>`;
  pages[page] = { formulas: written, glyphs };
}
process.stdout.write(JSON.stringify(pages));
