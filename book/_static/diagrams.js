// Draws the page's Mermaid diagrams, and again whenever the reader changes the theme.
(() => {
  const diagrams = [...document.querySelectorAll("pre.mermaid")].map((node) => ({
    node,
    source: node.textContent.trim(),
  }));
  let drawing = Promise.resolve();

  async function draw() {
    const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "neutral";
    mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme });
    for (const [index, { node, source }] of diagrams.entries()) {
      // One at a time: Mermaid measures the text of a diagram in the page.
      const { svg } = await mermaid.render(`diagram-${index}`, source);
      node.innerHTML = svg;
    }
  }

  function drawAgain() {
    drawing = drawing.then(draw).catch((error) => console.error("diagram:", error));
  }

  mermaid.initialize({ startOnLoad: false });
  new MutationObserver(drawAgain).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });
  drawAgain();
})();
