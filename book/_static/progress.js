// What the reader has opened, finished and solved, kept in this browser and nowhere else; and what next.
//
// A classic script, because browsers import no modules into pages opened from a file:// address.
// The book's pages and their order are read from the sidebar. Without localStorage, ticks last until
// the reader leaves the page.
(() => {
  const KEY = "from-pixels-to-fine-tuning:progress";
  const KINDS = { chapters: "finished", exercises: "solved" };
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const here = DOCUMENTATION_OPTIONS.pagename;
  const article = document.querySelector(".bd-article");

  /** The page that a link leads to, as "chapters/02_convolution"; null for what is not counted. */
  function nameOf(link) {
    const { origin, pathname } = new URL(link.href);
    if (origin !== root.origin || !pathname.startsWith(root.pathname)) return null;
    const name = decodeURIComponent(pathname.slice(root.pathname.length)).replace(/\.html$/, "");
    return /^(chapters|exercises)\/[^/]+$/.test(name) ? name : null;
  }

  const pages = [...document.querySelectorAll(".bd-links a.reference.internal")]
    .map((link) => ({ link, name: nameOf(link), title: link.textContent.trim(), href: link.href }))
    .filter(({ name }) => name);
  const kindOf = (name) => name.split("/")[0];
  const ofKind = (kind) => pages.filter(({ name }) => kindOf(name) === kind);

  let kept = true; // whether the browser keeps what is written
  let state = { opened: [], done: [], last: null };

  /** Read what is stored; what is not of our making counts as nothing. */
  function read() {
    try {
      const stored = JSON.parse(localStorage.getItem(KEY)) ?? {};
      const names = (list) => (Array.isArray(list) ? list : []).filter((one) => typeof one === "string");
      const last = typeof stored.last === "string" ? stored.last : null;
      state = { opened: names(stored.opened), done: names(stored.done), last };
    } catch (error) {
      if (!(error instanceof SyntaxError)) kept = false;
    }
  }

  function write() {
    try {
      localStorage.setItem(KEY, JSON.stringify(state));
    } catch {
      kept = false;
    }
  }

  const isDone = ({ name }) => state.done.includes(name);

  function mark(name, done) {
    if (kept) read(); // another tab may have written
    state.done = state.done.filter((one) => one !== name).concat(done ? [name] : []);
    write();
    show();
  }

  function forget() {
    if (!confirm("Forget which chapters you have finished and which exercises you have solved?")) return;
    state = { opened: [], done: [], last: null };
    try {
      localStorage.removeItem(KEY);
    } catch {
      kept = false;
    }
    show("Your progress is forgotten.");
  }

  /** Build an element; a string among its children is text. */
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    Object.assign(node, attributes);
    node.append(...children);
    return node;
  }

  const linkTo = ({ href, title }) => make("a", { href }, title);

  function tick({ name, title, href }) {
    const id = `done-${name.replace(/\W/g, "-")}`;
    const box = make("input", { type: "checkbox", id, checked: state.done.includes(name) });
    box.addEventListener("change", () => mark(name, box.checked));
    const noun = kindOf(name) === "chapters" ? "chapter" : "exercise";
    const verb = KINDS[kindOf(name)];
    if (name === here) return make("p", {}, box, make("label", { htmlFor: id }, `I have ${verb} this ${noun}`));
    return make("p", {}, box, make("label", { htmlFor: id }, `I have ${verb} `, linkTo({ href, title })));
  }

  /** The pages that a reader of this one may want next: at most a chapter and an exercise. */
  function next(exercises) {
    const chapters = ofKind("chapters");
    const place = chapters.findIndex(({ name }) => name === here);
    const open = (list) => list.find((page) => page.name !== here && !isDone(page));
    const chapter = open(chapters.slice(place + 1)) ?? open(chapters);
    const exercise = open(exercises) ?? (place < 0 ? open(ofKind("exercises")) : undefined);
    return [exercise, chapter].filter(Boolean);
  }

  function whatNext(steps) {
    if (steps.length === 0) return ["You have been through the whole book."];
    return ["What next: ", ...steps.flatMap((page, i) => (i ? [", or ", linkTo(page)] : [linkTo(page)])), "."];
  }

  function count() {
    return Object.entries(KINDS)
      .map(([kind, verb]) => `${ofKind(kind).filter(isDone).length} of ${ofKind(kind).length} ${kind} ${verb}`)
      .join(", ");
  }

  function forgetButton() {
    const button = make("button", { type: "button", className: "progress-forget" }, "Forget my progress");
    button.addEventListener("click", forget);
    return button;
  }

  // At the end of a chapter or an exercise.
  const box = make("section", { className: "progress-box" });
  box.setAttribute("aria-label", "Your progress");
  const said = make("p", { className: "progress-said" });
  said.setAttribute("role", "status");

  function showBox(message) {
    const linked = new Set([...article.querySelectorAll("section a")].map(nameOf));
    const others = kindOf(here) === "chapters" ? ofKind("exercises").filter(({ name }) => linked.has(name)) : [];
    const focused = document.activeElement?.id;
    const ticks = [pages.find(({ name }) => name === here), ...others].map(tick);
    const line = make("p", { className: "progress-next" }, ...whatNext(next(others)));
    said.textContent = message ?? `${count()}.${kept ? "" : " This browser keeps it only until you leave the page."}`;
    box.replaceChildren(...ticks, line, said, forgetButton());
    if (focused?.startsWith("done-")) document.getElementById(focused)?.focus();
  }

  // On the index page, whose text is what a reader sees who has not begun.
  const place = document.querySelector(".what-next");
  const beginning = place && [...place.childNodes];

  function showPlace(message) {
    const begun = state.opened.length + state.done.length > 0;
    const last = pages.find((page) => page.name === state.last && !isDone(page));
    const steps = last ? [last] : next(ofKind("exercises"));
    said.textContent = message ?? (begun ? `${count()}.` : "");
    if (begun) place.replaceChildren(make("p", {}, ...whatNext(steps)), make("p", {}, said.textContent, " ", forgetButton()));
    else place.replaceChildren(...beginning, ...(message ? [said] : []));
  }

  function show(message) {
    for (const page of pages) {
      const opened = state.opened.includes(page.name) ? "opened" : "";
      page.link.dataset.progress = isDone(page) ? "done" : opened;
    }
    if (box.isConnected) showBox(message);
    if (place) showPlace(message);
  }

  read();
  if (article && pages.some(({ name }) => name === here)) {
    state.opened = state.opened.filter((one) => one !== here).concat(here);
    state.last = here;
    write();
    article.append(box);
  }
  show();
  addEventListener("storage", ({ key }) => (key === KEY || key === null) && (read(), show()));
  addEventListener("pageshow", ({ persisted }) => persisted && kept && (read(), show()));
})();
