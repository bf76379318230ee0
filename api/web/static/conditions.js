export const conditionOf = (clauses) => (clauses.length ? clauses.map((one) => `(${one})`).join(" and ") : null);
export function showConditions() {}
