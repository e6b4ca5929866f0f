/* Rules of first and second order, with the exact denoiser (chapter 8). */
// needs: chain
Live.toy("rules", (toy) =>
  Live.chain.build(toy, {
    rules: ["ddim", "heun", "multistep"],
    rule: "ddim",
    schedule: "cosine",
    steps: [2, 3, 5, 8, 10, 16, 20, 32, 64, 128],
    count: 32,
    spread: "log-snr",
    start: 1,
    toFlow: true,
  }),
);
