// The upper half of the live page: what is on the paper, the network's answer, the test digits.
(() => {
  const { network, handwriting, paint, pad, inspector } = window.live;
  const { HOME, SIDE, ordinary, errors, moved, normalise, shrink, writeImage, writeStrokes } = handwriting;
  const find = (id) => document.getElementById(`live-${id}`);
  const digits = [...ordinary, ...errors];

  const state = { strokes: [], digit: ordinary[7], move: { ...HOME }, paper: null };
  let times = [];

  function percent(share) {
    return `${(100 * share).toFixed(1)} %`;
  }

  function classify(bytes) {
    const start = performance.now();
    const all = network.forward(bytes);
    times = [...times, performance.now() - start].slice(-51);
    return all;
  }

  const answerOf = (all) => all.softmax.indexOf(Math.max(...all.softmax));

  // The 28 × 28 bytes that reach the network.
  function seen() {
    return find("normalise").checked ? normalise(state.paper) : shrink(state.paper);
  }

  // Ten rows: a digit, a bar, a share.
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const row = find("bars").insertRow();
    row.innerHTML = `<th scope="row">${digit}</th><td><span></span></td><td></td>`;
    return row;
  });

  function showAnswer(all) {
    const empty = state.paper.every((ink) => ink === 0);
    const best = answerOf(all);
    rows.forEach((row, digit) => {
      const share = empty ? 0 : all.softmax[digit];
      row.classList.toggle("live-best", !empty && digit === best);
      row.cells[1].firstChild.style.width = `${100 * share}%`;
      row.cells[2].textContent = empty ? "" : percent(share);
    });
    const label = state.digit && `MNIST’s label: ${state.digit.label}`;
    find("guess").textContent = empty ? "–" : best;
    find("sure").textContent = empty ? "Draw a digit" : percent(all.softmax[best]);
    find("answer-too").textContent = empty ? "–" : `${best}, ${percent(all.softmax[best])}`;
    find("label").textContent = label || "";
    find("label").classList.toggle("live-wrong", Boolean(label) && state.digit.label !== best);
    const [first, second] = [...all.softmax.keys()].sort((a, b) => all.softmax[b] - all.softmax[a]);
    const spoken = `The network says ${first}, ${percent(all.softmax[first])}; then ${second}, ${percent(all.softmax[second])}.`;
    sayLater(empty ? "The paper is empty." : `${spoken} ${label || ""}`);
  }

  // A screen reader hears the answer when the drawing rests, not at every point of a line.
  let waiting;
  function sayLater(text) {
    clearTimeout(waiting);
    waiting = setTimeout(() => say(text), 900);
  }
  function say(text) {
    if (find("status").textContent !== text) find("status").textContent = text;
  }

  function show() {
    for (const id of ["pad", "pad-too"]) paint.image(find(id), state.paper, SIDE);
    paintPen();
    const bytes = seen();
    for (const id of ["seen", "seen-too"]) paint.image(find(id), bytes, 28, { most: 255 });
    const all = classify(bytes);
    showAnswer(all);
    inspector.show(all);
    const middle = [...times].sort((a, b) => a - b)[times.length >> 1];
    find("time").textContent = `${middle.toFixed(1)} ms`;
  }

  // At most one new picture a frame.
  let frame = null;
  function showSoon() {
    frame ??= requestAnimationFrame(() => {
      frame = null;
      write();
      show();
    });
  }

  function write() {
    const { digit, strokes, move } = state;
    state.paper = digit ? writeImage(digit.bytes, move) : writeStrokes(strokes, move);
  }

  // Drawing starts on an empty paper if a test digit lies there, and where moved strokes are now.
  function settle() {
    if (state.digit) state.strokes = [];
    state.strokes = state.strokes.map((stroke) => stroke.map((point) => moved(point, state.move)));
    state.digit = null;
    setMove(HOME);
    markChosen();
  }

  const paintPen = pad(find("pad"), {
    begin(point) {
      settle();
      state.strokes.push([point]);
      showSoon();
    },
    extend(point) {
      state.strokes.at(-1)?.push(point);
      showSoon();
    },
    clear,
    undo,
    say,
    show: showSoon,
  });

  function clear() {
    settle();
    state.strokes = [];
    showSoon();
  }

  function undo() {
    settle();
    state.strokes.pop();
    showSoon();
  }

  // The test digits, as buttons.
  digits.forEach((digit, i) => {
    const answer = answerOf(classify(digit.bytes));
    const isError = i >= ordinary.length;
    const button = document.createElement("button");
    button.type = "button";
    button.innerHTML = `<canvas width="56" height="56" aria-hidden="true"></canvas>`;
    button.dataset.digit = i;
    const which = `${digit.label}, test image ${digit.index}`;
    button.setAttribute("aria-label", isError ? `${which}, taken for ${answer}` : which);
    if (isError) button.append(`${digit.label} → ${answer}`);
    button.addEventListener("click", () => {
      [state.digit, state.strokes] = [digit, []];
      setMove(HOME);
      markChosen();
      showSoon();
    });
    find(isError ? "errors" : "digits").append(button);
  });

  const thumbnails = [...document.querySelectorAll("[data-digit]")];

  function markChosen() {
    for (const button of thumbnails)
      button.setAttribute("aria-pressed", String(digits[button.dataset.digit] === state.digit));
  }

  function paintThumbnails() {
    for (const button of thumbnails)
      paint.image(button.firstChild, digits[button.dataset.digit].bytes, 28, { most: 255 });
  }

  // Moving and scaling, and what that does to all the ordinary test digits.
  const sliders = ["right", "down", "size"];

  function setMove(move) {
    state.move = { ...move };
    for (const name of sliders) find(name).value = name === "size" ? 100 * move.size : move[name];
    showMove();
  }

  function showMove() {
    const { right, down, size } = state.move;
    find("right-text").textContent = `${right} pixels`.replace("-", "−");
    find("down-text").textContent = `${down} pixels`.replace("-", "−");
    find("size-text").textContent = `${Math.round(100 * size)} %`;
    clearTimeout(counting);
    counting = setTimeout(count, 150);
  }

  let counting;
  function count() {
    const papers = ordinary.map(({ bytes }) => writeImage(bytes, state.move));
    const right = (prepare) =>
      papers.filter((paper, i) => answerOf(network.forward(prepare(paper))) === ordinary[i].label).length;
    find("count").textContent =
      `Of the ${ordinary.length} ordinary digits, moved like this one, the network reads ` +
      `${right(shrink)} as they lie and ${right(normalise)} after centring and scaling.`;
  }

  for (const name of sliders)
    find(name).addEventListener("input", ({ target }) => {
      state.move[name] = name === "size" ? target.value / 100 : Number(target.value);
      showMove();
      showSoon();
    });
  const ticks = [find("normalise"), find("normalise-too")];
  for (const tick of ticks)
    tick.addEventListener("change", () => {
      for (const other of ticks) other.checked = tick.checked;
      showSoon();
    });
  find("home").addEventListener("click", () => {
    setMove(HOME);
    showSoon();
  });
  find("clear").addEventListener("click", clear);
  find("undo").addEventListener("click", undo);

  function paintPage() {
    paintThumbnails();
    showSoon();
  }
  new MutationObserver(paintPage).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  for (const part of document.querySelectorAll(".live[hidden]")) part.hidden = false;
  setMove(HOME);
  markChosen();
  paintPage();
})();
