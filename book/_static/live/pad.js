// The drawing pad: mouse, finger, pen, or the keyboard. Points are in pixels of the image.
(() => {
  const live = (window.live ??= {});
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  // `begin(point)` starts a stroke, `extend(point)` continues it, `clear()` and `undo()` speak for themselves,
  // `say(text)` tells a screen reader, `show()` paints anew.
  function pad(canvas, { begin, extend, clear, undo, say, show }) {
    const pen = { at: [14, 14], down: false, held: new Set() };
    let drawing = null; // the pointer that draws

    function pointOf(event) {
      const box = canvas.getBoundingClientRect();
      return [
        (28 * (event.clientX - box.left)) / box.width,
        (28 * (event.clientY - box.top)) / box.height,
      ];
    }

    canvas.addEventListener("pointerdown", (event) => {
      if (drawing !== null || event.button > 0) return;
      drawing = event.pointerId;
      canvas.setPointerCapture(drawing);
      pen.down = false;
      begin(pointOf(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== drawing) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) extend(pointOf(one));
    });
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => {
        if (event.pointerId === drawing) drawing = null;
      });

    function lift() {
      if (pen.down) say("pen up");
      pen.down = false;
    }

    function move() {
      let [x, y] = pen.at;
      for (const key of pen.held) [x, y] = [x + ARROWS[key][0], y + ARROWS[key][1]];
      pen.at = [Math.min(27, Math.max(1, x)), Math.min(27, Math.max(1, y))];
      if (pen.down) extend(pen.at);
    }

    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey && event.key === "z") undo();
      else if (event.ctrlKey || event.metaKey || event.altKey) return;
      else if (event.key in ARROWS) {
        pen.held.add(event.key);
        move();
      } else if (event.key === " " || event.key === "Enter") {
        if (event.repeat) return event.preventDefault();
        if (pen.down) lift();
        else {
          pen.down = true;
          begin(pen.at);
          say("pen down");
        }
      } else if (event.key === "Delete" || event.key === "Backspace") {
        lift();
        clear();
      } else return;
      event.preventDefault();
      show();
    });
    canvas.addEventListener("keyup", (event) => pen.held.delete(event.key));
    canvas.addEventListener("focus", show);
    canvas.addEventListener("blur", () => {
      pen.held.clear();
      lift();
      show();
    });

    // The keyboard's pen: a ring, filled while it is down.
    return function paintPen() {
      if (!canvas.matches(":focus-visible")) return;
      const context = canvas.getContext("2d");
      const dot = canvas.width / 28;
      context.beginPath();
      context.arc(pen.at[0] * dot, pen.at[1] * dot, 1.2 * dot, 0, 2 * Math.PI);
      [context.lineWidth, context.strokeStyle, context.fillStyle] = [3, "rgb(230 96 0)", "rgb(230 96 0)"];
      context.stroke();
      if (pen.down) context.fill();
    };
  }

  live.pad = pad;
})();
