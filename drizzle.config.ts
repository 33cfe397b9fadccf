// drizzle-kit reads this before it does anything. Drizzle knows neither partitions nor rights, so what "drizzle-kit push" makes
// of the tables would lose both: it must not run, not even by accident.
throw new Error('drizzle-kit is not used here: write SQL in db/migrations, then run "sluice migrate".');
