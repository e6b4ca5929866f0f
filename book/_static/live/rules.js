/* The sampling steps that a reader can choose, and a chain that remembers its states. */
// needs: sampling solvers
Live.rules = (() => {
  const { ancestralStep, ddimStep } = Live.sampling;
  const { heunStep, multistep } = Live.solvers;

  /** The rules by name: the title, whether it draws noise, and the step.
   *  @type {Record<string, {title: string, isNoisy: boolean, calls?: (n: number) => number,
   *    make: (denoiser: (x: Float64Array, t: number) => Float64Array, eta: number) =>
   *      ReturnType<typeof ddimStep>}>} */
  const RULES = {
    beta: {
      title: "ancestral, σ² = β",
      isNoisy: true,
      make: () => ancestralStep("beta"),
    },
    beta_tilde: {
      title: "ancestral, σ² = β̃",
      isNoisy: true,
      make: () => ancestralStep("beta_tilde"),
    },
    ddim: { title: "DDIM", isNoisy: false, make: (_, eta) => ddimStep(eta) },
    heun: {
      title: "Heun",
      isNoisy: false,
      calls: (n) => 2 * n - 1,
      make: (denoiser) => heunStep(denoiser),
    },
    multistep: { title: "multistep", isNoisy: false, make: () => multistep() },
  };

  /** A chain whose states are computed when they are asked for.
   *  @param {Generator<Float64Array, void>} steps @param {Float64Array} start */
  const recorded = (steps, start) => {
    const states = [start];
    return {
      states,
      /** The index, or the last that could be reached in time. @param {number} index
       *  @param {number} until a time in milliseconds */
      reach(index, until) {
        while (states.length <= index && performance.now() < until) {
          const { value } = steps.next();
          if (!value) break;
          states.push(value);
        }
        return Math.min(index, states.length - 1);
      },
    };
  };

  return { RULES, recorded };
})();
