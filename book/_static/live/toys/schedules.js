/* Schedule bench (chapter 1): four schedules, their parameters, and what is left at T. */
// needs: plot controls forward random pictures data/settings
Live.toy("schedules", (toy) => {
  const { slider, select, quantity, element, number } = Live.controls;
  const { settings } = Live.data;
  const { beta_1, beta_T } = settings.schedules.linear;
  const { s, max_beta } = settings.schedules.cosine;
  const { steepness } = settings.schedules.sigmoid;
  const LOOKS = {
    linear: { color: "1", dash: [] },
    quadratic: { color: "4", dash: [8, 5] },
    cosine: { color: "2", dash: [9, 4, 2, 4] },
    sigmoid: { color: "3", dash: [12, 3] },
  };

  const kind = select(toy, "schedule", "schedule", Live.schedules.titles, "linear");
  const T = slider(toy, "T", "steps T", {
    min: 10,
    max: 1000,
    step: 10,
    value: settings.T,
  });
  const sliders = {
    beta_1: slider(toy, "beta_1", "β_1", {
      min: 1e-5,
      max: 1e-3,
      value: beta_1,
      log: true,
      step: 0.01,
    }),
    beta_T: slider(toy, "beta_T", "β_T", {
      min: 1e-3,
      max: 0.5,
      value: beta_T,
      log: true,
      step: 0.01,
    }),
    steepness: slider(toy, "steepness", "steepness κ", {
      min: 0,
      max: 12,
      value: steepness,
      step: 0.5,
    }),
    s: slider(toy, "s", "offset δ", { min: 0, max: 0.1, value: s, step: 0.002 }),
    max_beta: slider(toy, "max_beta", "largest β", {
      min: 0.5,
      max: 0.999,
      value: max_beta,
      step: 0.001,
    }),
  };

  Live.plot.legend(
    toy,
    Object.entries(LOOKS).map(([name, { color, dash }]) => [color, name, dash]),
  );
  const row = element("div", "live-row");
  toy.stage.append(row);
  /** @param {string} label @param {string} yLabel */
  const plot = (label, yLabel) =>
    new Live.plot.Plot(toy, label, { into: row, height: 170, xLabel: "t / T", yLabel });
  const plots = [
    plot("β of each step, for four schedules", "β_t"),
    plot("ᾱ over time, for four schedules", "ᾱ_t"),
    plot("logarithm of the SNR over time, for four schedules", "log SNR_t"),
  ];
  const strip = element("div", "live-strip");
  toy.stage.append(strip);
  const { shape } = Live.data.pictures.photo;
  const x0 = Live.pictures.values("photo");
  const eps = Live.random.normal(x0.length, 1);
  const SHARES = [0, 0.2, 0.4, 0.6, 0.8, 1];
  const shows = SHARES.map((share) =>
    Live.pictures.add(
      strip,
      `the photograph after ${100 * share}% of the steps`,
      shape,
    ),
  );
  const showAbar = quantity(toy, "alpha_bar_T", "ᾱ_T");
  const showAmplitude = quantity(toy, "amplitude", "√ᾱ_T, what x_T keeps of x_0");
  const showBits = quantity(toy, "prior_bits", "L_T, bits per dimension");
  const showAll = quantity(toy, "prior_bits_all", "L_T, bits for the photograph");

  /** The curves of a schedule. @param {string} name
   *  @param {ReturnType<typeof Live.schedules.make>} schedule
   *  @param {{width: number, alpha?: number}} style */
  const drawCurves = (name, { T, beta, alphaBar, snr }, style) => {
    // a dash for each of a thousand steps takes too long: two hundred points will do
    const every = Math.ceil(T / 200);
    const times = Array.from({ length: Math.ceil(T / every) }, (_, i) => 1 + i * every);
    if (every > 1) times.push(T);
    const { color, dash } = LOOKS[/** @type {keyof typeof LOOKS} */ (name)];
    [beta, alphaBar, snr.map(Math.log)].forEach((curve, i) =>
      plots[i].curve(
        times.map((t) => t / T),
        times.map((t) => curve[t]),
        color,
        { dash, ...style },
      ),
    );
  };

  toy.draw(() => {
    const values = Object.fromEntries(
      Object.entries(sliders).map(([name, control]) => [name, control.value]),
    );
    const name = kind.value;
    const mine = settings.schedules[/** @type {keyof typeof LOOKS} */ (name)];
    for (const [parameter, control] of Object.entries(sliders)) {
      control.row.hidden = !(parameter in mine);
    }
    const steps = T.value;
    const schedule = Live.schedules.make(name, steps, values);
    const usual = Live.schedules.make(name);
    const late = [schedule, usual].map(({ T, beta }) => beta[Math.round(0.9 * T)]);
    plots[0].begin([0, 1], [0, 1.5 * Math.max(...late)]);
    plots[1].begin([0, 1], [0, 1]);
    plots[2].begin([0, 1], [-12, 10]);
    drawCurves(name, usual, { width: 3, alpha: 0.35 }); // to see what has moved
    for (const other in LOOKS) {
      if (other === name) continue;
      const thin = { width: 1.25, alpha: 0.6 };
      drawCurves(other, Live.schedules.make(other, steps, values), thin);
    }
    drawCurves(name, schedule, { width: 3 });
    SHARES.forEach((share, i) => {
      const t = Math.round(share * steps);
      shows[i](Live.forward.qSample(schedule, x0, t, eps), `t = ${t}`);
    });
    const abar = schedule.alphaBar[steps];
    const nats = Live.forward.priorKl(schedule, x0);
    showAbar(abar);
    showAmplitude(Math.sqrt(abar));
    showBits(Live.forward.bitsPerDim(nats, x0.length));
    showAll(nats / Math.LN2);
    const left = `${number(100 * Math.sqrt(abar))}% of the signal's amplitude is left`;
    const most = settings.max_final_alpha_bar;
    if (abar <= most) {
      toy.say(`x_T is noise, for most purposes: ᾱ_T is at most ${most}, and ${left}.`);
    } else {
      toy.say(
        `x_T is not noise: ᾱ_T is above ${most}, and ${left}. Add steps, or raise β.`,
        true,
      );
    }
  });
});
