/* Pictures on canvas; their values are those of Python: channels first, in [-1, 1]. */
// needs: live controls data/pictures
Live.pictures = (() => {
  /** Pixels (channels first, in [-1, 1]) as a picture with a caption.
   *  @param {HTMLElement} into @param {string} label @param {number[]} shape (C, H, W) */
  const add = (into, label, [channels, height, width]) => {
    const figure = Live.controls.element("figure", "live-picture");
    const canvas = Live.controls.element("canvas");
    const caption = Live.controls.element("figcaption");
    Object.assign(canvas, { width, height });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    figure.append(canvas, caption);
    into.append(figure);
    const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = g.createImageData(width, height);
    /** @param {ArrayLike<number>} values @param {string} text */
    const show = (values, text) => {
      const size = width * height;
      const { data } = image; // red, green, blue and alpha of each pixel
      for (let c = 0; c < 3; c++) {
        const start = size * Math.min(c, channels - 1);
        for (let i = 0; i < size; i++)
          data[4 * i + c] = 127.5 * (values[start + i] + 1);
      }
      for (let i = 0; i < size; i++) data[4 * i + 3] = 255;
      g.putImageData(image, 0, 0);
      if (caption.dataset.text !== text) Live.controls.typeset(caption, text);
      caption.dataset.text = text;
    };
    return show;
  };

  /** The values of a picture of data/pictures.js, in [-1, 1]. @param {string} name */
  const values = (name) => {
    const bytes = atob(Live.data.pictures[name].bytes);
    return Float64Array.from(bytes, (byte) => byte.charCodeAt(0) / 127.5 - 1);
  };

  return { add, values };
})();
