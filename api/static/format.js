// Numbers and times, in the page's language and the browser's time zone.

import { locale, text } from "./texts.js";

const number = new Intl.NumberFormat(locale);
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const minute = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

const UNITS = [[86_400, "day"], [3_600, "hour"], [60, "minute"]];

export const count = (rows, isEstimate = false) => (isEstimate ? text.about(number.format(rows)) : number.format(rows));

export const timeOfDay = (instant) => clock.format(instant);

export const minuteOfDay = (instant) => minute.format(instant);

/** The time alone where it is of today. */
export function when(iso) {
  const instant = new Date(iso);
  return (instant.toDateString() === new Date().toDateString() ? clock : full).format(instant);
}

export const fullTime = (iso) => full.format(new Date(iso));

/** How long it took or is ago, in the largest unit of which it has two: 45 s, 72 min, 2 h. */
export function duration(seconds) {
  const [size, unit] = UNITS.find(([size]) => Math.abs(seconds) >= 2 * size) ?? [1, "second"];
  const value = Math.trunc(seconds / size);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short" }).format(value);
}
