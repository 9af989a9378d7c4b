// Test digits as numbers from 0 to 1, and square maps of numbers painted and marked.
(() => {
  const { explore, live } = window;
  const GREY = 128;

  const digits = live.handwriting.ordinary.slice(0, 10).map(({ bytes }) => Float64Array.from(bytes, (b) => b / 255));
  const names = [...digits.keys()].map(String);

  // As in the chapters: middle grey is zero, dark is positive, light is negative.
  const signed = (share) => Array(3).fill(Math.round(GREY * (1 - Math.max(-1, Math.min(1, share)))));

  // Fill a canvas with size × size values; return the dots of a value's side.
  function paint(canvas, values, size, options = {}) {
    canvas.width = canvas.height = 448;
    live.paint.image(canvas, values, size, options);
    return canvas.width / size;
  }

  // A frame that shows on ink, on paper and in grey.
  function mark(canvas, x, y, width, height) {
    const context = canvas.getContext("2d");
    for (const [colour, line] of [["#fff", 6], ["#b04800", 3]]) {
      [context.strokeStyle, context.lineWidth] = [colour, line];
      context.strokeRect(x, y, width, height);
    }
  }

  explore.pixels = { digits, names, signed, paint, mark };
})();
