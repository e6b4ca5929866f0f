/* The perfect denoiser and its samplers (chapter 7). */
// needs: chain
Live.toy("sampler", (toy) =>
  Live.chain.build(toy, {
    rules: ["beta", "beta_tilde", "ddim"],
    rule: "beta",
    schedule: "linear",
    steps: [1, 2, 5, 10, 20, 50, 100, 200, 1000],
    count: 50,
    spread: "time",
    start: 0.92,
    toFlow: false,
  }),
);
