/* The network draws in your page (front page, chapter 7), beside the perfect denoiser of
   the pictures that come with the course: from the same noise, step by step. */
// needs: controls clothes pictures random data/settings
Live.toy("draw", (toy) => {
  const { slider, select, button, quantity, element, number } = Live.controls;
  const SHAPE = [1, 28, 28];
  const TITLES = {
    network: "The network, which has learned from 60,000 images",
    perfect: "The perfect denoiser of 1000 other images",
  };
  /** @typedef {{x: Float64Array, guess: Float64Array}} State what led to it: the guess */

  let seed = 1;
  let run = 0; // a drawing ends when there is a later one
  let isRunning = false;
  let milliseconds = NaN;
  /** @type {number[]} */
  let times = [];
  /** A chain for each denoiser. @type {State[][]} */
  let chains = [];
  /** @type {Awaited<ReturnType<typeof Live.clothes.load>> | null} */
  let clothes = null;

  const go = button(toy, "draw", "Draw", () => (isRunning ? stop() : draw()));
  button(toy, "fresh", "Fresh noise", () => {
    seed += 1;
    begin();
    if (clothes) draw();
  });
  go.classList.add("live-main");
  const find = button(toy, "nearest", "Compare with known images", () => {
    find.ariaPressed = String(find.ariaPressed !== "true");
  });
  find.ariaPressed = "false";
  const steps = slider(toy, "steps", "steps", { min: 5, max: 100, step: 5, value: 20 });
  const eta = slider(toy, "eta", "fresh noise η", {
    min: 0,
    max: 1,
    step: 0.1,
    value: 0,
  });
  const clip = select(toy, "clip", "clip the guess", { yes: "yes", no: "no" }, "yes");
  const look = slider(toy, "look", "look at step", { min: 0, max: 20, value: 0 });
  const grid = element("div", "live-rows");
  toy.stage.append(grid);
  const shows = Object.entries(TITLES).map(([who, title]) => {
    const heading = element("p");
    heading.textContent = title;
    grid.append(heading);
    return ["the state", "the guess", "the nearest known image"].map((what) =>
      Live.pictures.add(grid, `${who}: ${what}`, SHAPE),
    );
  });
  const showDistances = [
    quantity(toy, "network_distance", "from the network's guess to the nearest"),
    quantity(toy, "perfect_distance", "from the perfect one's"),
  ];
  const showTime = quantity(toy, "milliseconds", "milliseconds a step");

  /** Pure noise, and no guess yet. */
  const begin = () => {
    run += 1;
    isRunning = false;
    times = Live.sampling.sparseTimes(Live.data.settings.T, steps.value);
    const x = Live.random.normal(28 ** 2, seed);
    chains = shows.map(() => [{ x, guess: new Float64Array(x.length) }]);
    look.input.max = String(steps.value);
    look.value = 0;
  };

  const stop = () => {
    run += 1;
    isRunning = false;
  };

  /** Both chains, step by step, while the page goes on. */
  const draw = async () => {
    begin();
    const mine = run;
    isRunning = true;
    try {
      if (!clothes) toy.say("Loading the network and the pictures, 3 MB …");
      clothes ??= await Live.clothes.load();
      if (run === mine) toy.say("Drawing …");
      const { schedule, trained, perfect } = clothes;
      const options = {
        step: Live.sampling.ddimStep(eta.value),
        times,
        noise: (/** @type {number} */ i) => Live.random.normal(28 ** 2, 1e6 * seed + i),
      };
      const denoisers = [trained(clip.value === "yes" ? 1 : Infinity), perfect];
      const processes = denoisers.map((denoiser) =>
        Live.clothes.reverseProcess(denoiser, schedule, chains[0][0].x, options),
      );
      const start = performance.now();
      for (let k = 1; k < times.length; k++) {
        for (const [i, process] of processes.entries()) {
          const { value } = await process.next();
          if (run !== mine) return;
          chains[i].push(/** @type {State} */ (value));
        }
        milliseconds = (performance.now() - start) / k;
        if (!Live.isStill() || k === times.length - 1) look.value = k;
      }
      isRunning = false;
      toy.change();
    } catch (error) {
      if (run !== mine) return;
      isRunning = false;
      toy.say(`That didn't work here: ${error}.`, true);
    }
  };

  for (const input of [steps.input, eta.input, clip]) {
    input.addEventListener("change", () => (clothes ? draw() : begin()));
  }
  begin();

  toy.draw(() => {
    go.textContent = isRunning ? "Stop" : "Draw";
    grid.classList.toggle(
      "live-compared",
      !find.disabled && find.ariaPressed === "true",
    );
    toy.place.ariaBusy = String(isRunning);
    find.disabled = !clothes;
    const known = find.ariaPressed === "true" && clothes ? clothes.known : null;
    const distances = chains.map((chain, i) => {
      const k = Math.min(look.value, chain.length - 1);
      const { x, guess } = chain[k];
      shows[i][0](x, `x_{${times[k]}}`);
      shows[i][1](guess, k ? "guess x̂_0" : "no guess yet");
      const near = known && k ? Live.clothes.nearest(guess, known) : null;
      shows[i][2](
        near && known ? known[near.index] : new Float64Array(guess.length),
        near ? "nearest known" : "",
      );
      showDistances[i](near ? near.distance : NaN);
      return near ? near.distance : NaN;
    });
    showTime(milliseconds);
    if (!isRunning) toy.say(sentence(distances));
  });

  /** @param {number[]} distances */
  const sentence = ([network, perfect]) => {
    const [done, all] = [chains[1].length - 1, times.length - 1];
    if (!done) return "Nothing is computed, and nothing loaded, before you press Draw.";
    if (done < all) return `Stopped after step ${done} of ${all}.`;
    if (Number.isNaN(network)) {
      return "Two pictures from the same noise. Is either of them new? Compare them with the known ones.";
    }
    if (look.value < all) {
      return `The guesses after step ${look.value} are ${number(network)} and ${number(perfect)} from the nearest known image.`;
    }
    const copy =
      perfect < 0.01
        ? "The perfect denoiser repeats one of its 1000 images."
        : `The perfect denoiser mixes some of its 1000 images: it took too few steps.`;
    return `${copy} The network's picture is none of them: the nearest is ${number(network)} away.`;
  };
});
