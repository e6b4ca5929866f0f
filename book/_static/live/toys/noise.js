/* Noise it yourself (front page, chapter 1): signal + noise = x_t. */
// needs: controls forward random pictures data/settings
Live.toy("noise", (toy) => {
  const { slider, select, button, quantity, element } = Live.controls;
  const { T } = Live.data.settings;
  /** @type {Record<string, string>} */
  const titles = {};
  for (const name in Live.data.pictures) titles[name] = Live.data.pictures[name].title;
  const image = select(toy, "image", "picture", titles, "photo");
  const kind = select(toy, "schedule", "schedule", Live.schedules.titles, "linear");
  const t = slider(toy, "t", "time t", { min: 0, max: T, value: 250 });
  let seed = 1;
  button(toy, "fresh", "Fresh noise", () => {
    seed += 1;
    prepare();
  });
  const row = element("div", "live-sum");
  toy.stage.append(row);
  const showAbar = quantity(toy, "alpha_bar", "share of the signal, ᾱ_t");
  const showSnr = quantity(toy, "snr", "signal over noise, SNR_t");

  /** @type {Record<string, ReturnType<typeof Live.schedules.make>>} */
  const schedules = {};
  for (const name in Live.schedules.titles) schedules[name] = Live.schedules.make(name);
  let x0 = new Float64Array();
  let eps = x0;
  /** @type {((values: ArrayLike<number>, text: string) => void)[]} */
  let shows = [];

  /** Decode the picture and draw its noise. */
  const prepare = () => {
    const { shape } = Live.data.pictures[image.value];
    x0 = Live.pictures.values(image.value);
    eps = Live.random.normal(x0.length, seed);
    const labels = ["the picture, faded", "the noise", "the noisy picture"];
    row.replaceChildren();
    shows = labels.map((label, i) => {
      if (i) row.append(i === 1 ? "+" : "=");
      return Live.pictures.add(row, label, shape);
    });
  };
  prepare();
  image.addEventListener("change", prepare);

  /** A factor as text: what is small is not 0. @param {number} x */
  const factor = (x) => (x && x < 0.01 ? x.toPrecision(2) : x.toFixed(3));

  toy.draw(() => {
    const schedule = schedules[kind.value];
    const [signal, noise] = Live.forward.signalAndNoise(schedule, t.value);
    shows[0](
      x0.map((x) => signal * x),
      `${factor(signal)} x_0`,
    );
    shows[1](
      eps.map((e) => noise * e),
      `${factor(noise)} ε`,
    );
    shows[2](Live.forward.qSample(schedule, x0, t.value, eps), `x_t at t = ${t.value}`);
    showAbar(schedule.alphaBar[t.value]);
    const snr = schedule.snr[t.value];
    showSnr(snr);
    const balance = snr > 1 ? "more signal than noise" : "more noise than signal";
    const ends =
      t.value === 0
        ? "the picture itself"
        : snr < 0.01
          ? "almost nothing but noise"
          : "";
    toy.say(`x_t = ${factor(signal)} x_0 + ${factor(noise)} ε: ${ends || balance}.`);
  });
});
