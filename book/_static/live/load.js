/* Data that are too large to come with the page. Scripts are the only files that a page may
   read over file://, so they are scripts, added when somebody asks for them. */
// needs: live
Live.load = (() => {
  const here = /** @type {HTMLScriptElement | null} */ (document.currentScript);
  /** @type {Record<string, Promise<any>>} */
  const asked = {};

  /** @param {keyof typeof Live.data} name */
  const script = (name) =>
    new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = new URL(`data/${name}.js`, here?.src).href;
      element.onload = () => resolve(Live.data[name]);
      element.onerror = () => {
        delete asked[name]; // so that a second try is one
        reject(new Error("its data can't be loaded"));
      };
      document.head.append(element);
    });

  /** `Live.data[name]`, from data/NAME.js. @template {keyof typeof Live.data} Name
   *  @param {Name} name @returns {Promise<(typeof Live.data)[Name]>} */
  const load = async (name) => Live.data[name] ?? (asked[name] ??= script(name));
  return load;
})();
