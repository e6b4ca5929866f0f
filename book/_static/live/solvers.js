/* Steps of second order, as in ddpm_course/solvers.py: DDIM steps with a better guess. */
// needs: live schedules sampling
Live.solvers = (() => {
  const { ddimStep, sparseTimes } = Live.sampling;
  /** @typedef {ReturnType<typeof Live.schedules.make>} Schedule */
  /** @typedef {ReturnType<typeof ddimStep>} Step */
  /** @typedef {(x: Float64Array, t: number) => Float64Array} Denoise */

  /** The mean of the guesses at both ends of the step. @param {Denoise} denoiser
   *  @returns {Step} */
  const heunStep = (denoiser) => (schedule, xt, x0Hat, t, s, z) => {
    const firstTry = ddimStep()(schedule, xt, x0Hat, t, s, z);
    if (s === 0) return firstTry; // there is no time 0 to ask about
    const there = denoiser(firstTry, s);
    const guess = x0Hat.map((x, i) => (x + there[i]) / 2);
    return ddimStep()(schedule, xt, guess, t, s, z);
  };

  /** λ_t = log(ᾱ_t / (1 − ᾱ_t)). @param {Schedule} schedule @param {number} t */
  const logSnr = ({ alphaBar }, t) => Math.log(alphaBar[t]) - Math.log1p(-alphaBar[t]);

  /** The guess in the middle of the step ahead, from this one and the last. Each chain
   *  needs a new one. @returns {Step} */
  const multistep = () => {
    /** @type {{t: number, s: number, x0Hat: Float64Array} | null} */
    let last = null;
    return (schedule, xt, x0Hat, t, s, z) => {
      let guess = x0Hat;
      if (last && last.s === t && s > 0) {
        const before = last.x0Hat;
        const [first, here, there] = [last.t, t, s].map((at) => logSnr(schedule, at));
        const share = (there - here) / (2 * (here - first));
        guess = x0Hat.map((x, i) => x + share * (x - before[i]));
      }
      last = { t, s, x0Hat };
      return ddimStep()(schedule, xt, guess, t, s, z);
    };
  };

  /** Times T, …, 1, 0 of a chain. @param {Schedule} schedule @param {number} steps
   *  @param {string} spacing what is spread evenly: "time" or "log-snr"
   *  @param {number} sigmaMax noisier times are passed in the first step, if so */
  const spacedTimes = (schedule, steps, spacing, sigmaMax = Infinity) => {
    const { T } = schedule;
    if (spacing === "time") return sparseTimes(T, steps);
    const every = Array.from({ length: T }, (_, i) => logSnr(schedule, i + 1));
    const kept = every.filter((value) => value >= -2 * Math.log(sigmaMax));
    const first = kept.length < T ? [T] : [];
    const [most, least] = [kept[0], kept[kept.length - 1]];
    const inner = steps - first.length;
    const nearest = Array.from({ length: inner }, (_, i) => {
      const share = inner > 1 ? i / (inner - 1) : 1;
      const wanted = least + (most - least) * share;
      const off = kept.map((value) => Math.abs(value - wanted));
      return 1 + off.indexOf(Math.min(...off));
    });
    const times = [...first, ...nearest, 0];
    for (let i = steps - 2; i >= 0; i--) {
      times[i] = Math.max(times[i], times[i + 1] + 1); // move apart what fell together
    }
    return times.map((t, i) => Math.min(t, T - i));
  };

  return { heunStep, multistep, logSnr, spacedTimes };
})();
