/* Controls and numbers of a toy: native elements, each with a name and a text. */
// needs: live
Live.controls = (() => {
  let count = 0;

  /** @template {keyof HTMLElementTagNameMap} K
   *  @param {K} tag @param {string} className */
  const element = (tag, className = "") => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    return made;
  };

  /** Text with its subscripts apart: "x_{t−1} at t" is ["x", "t−1", " at t"], so every
   *  other piece, from the second on, stands low. @param {string} text */
  const pieces = (text) =>
    text.split(/_\{(.+?)\}|_(.)/).filter((piece) => piece !== undefined);

  /** Puts a text into an element, with subscripts. @param {HTMLElement} into @param {string} text */
  const typeset = (into, text) => {
    into.replaceChildren(
      ...pieces(text).map((piece, i) => {
        if (i % 2 === 0) return document.createTextNode(piece);
        const low = element("sub");
        low.textContent = piece;
        return low;
      }),
    );
  };

  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  /** A number as text. @param {number} x @param {number} digits */
  const number = (x, digits = 3) => {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "–" : x > 0 ? "∞" : "−∞";
    const size = Math.abs(x);
    if (size !== 0 && (size < 1e-3 || size >= 1e5)) {
      const [factor, power] = x.toExponential(digits - 1).split("e");
      const high = power.replace(/[+-]/, "").replace(/\d/g, (d) => SUPERSCRIPTS[+d]);
      return `${factor} × 10${power[0] === "-" ? "⁻" : ""}${high}`.replace("-", "−");
    }
    const text = size >= 100 ? x.toFixed(0) : x.toPrecision(digits);
    return (size === 0 ? "0" : text).replace("-", "−");
  };

  /** A labeled line for one control. @param {Parts} toy @param {string} label
   *  @param {HTMLElement} control @param {string} name */
  const line = (toy, label, control, name) => {
    control.id = `live-${++count}`;
    control.dataset.control = name;
    const row = element("div", "live-control");
    const caption = element("label");
    caption.htmlFor = control.id;
    typeset(caption, label);
    row.append(caption, control);
    toy.controls.append(row);
    return row;
  };

  /** A slider, with its value beside it.
   *  @param {Parts} toy @param {string} name @param {string} label
   *  @param {{min: number, max: number, value: number, step?: number, log?: boolean,
   *    show?: (value: number) => string}} options `log`: it moves by factors
   */
  const slider = (
    toy,
    name,
    label,
    { min, max, value, step = 1, log = false, show },
  ) => {
    const input = element("input");
    const decimals = String(step).split(".")[1]?.length ?? 0;
    const text =
      show ??
      (log ? (x) => number(x, 2) : (x) => x.toFixed(decimals).replace("-", "−"));
    // two digits, so that 0.02 is 0.02, and not the nearest power
    const from = (/** @type {number} */ x) =>
      log ? Number((10 ** x).toPrecision(2)) : x;
    const to = (/** @type {number} */ x) => (log ? Math.log10(x) : x);
    Object.assign(input, { type: "range", min: to(min), max: to(max), step });
    input.value = String(to(value));
    const row = line(toy, label, input, name);
    row.classList.toggle("live-wide", log || show !== undefined);
    const output = element("output");
    output.dataset.quantity = name;
    output.setAttribute("aria-live", "off"); // the slider itself says its value
    output.htmlFor.add(input.id);
    row.append(output);
    const tell = () => {
      output.value = text(from(+input.value));
      input.setAttribute("aria-valuetext", output.value);
    };
    tell();
    input.addEventListener("input", () => {
      tell();
      toy.change();
    });
    return {
      row,
      input,
      get value() {
        return from(+input.value);
      },
      set value(x) {
        input.value = String(to(x));
        tell();
        toy.change();
      },
    };
  };

  /** A choice. @param {Parts} toy @param {string} name @param {string} label
   *  @param {Record<string, string>} options value to text @param {string} value */
  const select = (toy, name, label, options, value) => {
    const input = element("select");
    for (const [key, text] of Object.entries(options)) input.add(new Option(text, key));
    input.value = value;
    line(toy, label, input, name);
    input.addEventListener("change", () => toy.change());
    return input;
  };

  /** A button. @param {Parts} toy @param {string} name @param {string} label
   *  @param {() => void} press */
  const button = (toy, name, label, press) => {
    const made = element("button");
    made.type = "button";
    made.dataset.control = name;
    made.textContent = label;
    toy.controls.append(made);
    made.addEventListener("click", () => {
      press();
      toy.change();
    });
    return made;
  };

  /** A number below the toy; the function that is returned shows it.
   *  @param {Parts} toy @param {string} name @param {string} label */
  const quantity = (toy, name, label) => {
    const group = element("div");
    const term = element("dt");
    const value = element("dd");
    const output = element("output");
    typeset(term, label);
    output.dataset.quantity = name;
    output.setAttribute("aria-live", "off"); // the sentence below speaks
    value.append(output);
    group.append(term, value);
    toy.numbers.append(group);
    return (/** @type {number} */ x) => {
      output.value = number(x);
    };
  };

  return { element, pieces, typeset, number, slider, select, button, quantity };
})();
