/** Stands in for the window, as far as events go; Node's global object takes none. */
export const device = new EventTarget();

Object.assign(globalThis, {
  addEventListener: device.addEventListener.bind(device),
  removeEventListener: device.removeEventListener.bind(device),
});
if (!("navigator" in globalThis)) Object.assign(globalThis, { navigator: {} });
