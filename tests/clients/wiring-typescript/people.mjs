// Asks for the arm of 200 people with the code of the page: node people.mjs CODE FLAG. Prints each answer and each row.
const [code, flag] = process.argv.slice(2);
const { getsTreatment } = await import(code);
const db = { query: async (_, row) => console.log(JSON.stringify({ row })) };
for (let n = 0; n < 200; n++) {
  const user = `user-${n}`;
  console.log(JSON.stringify({ user, gets: await getsTreatment(db, flag, user) }));
}
process.exit(0);
