// Package store opens the SQL database that a system keeps its state in: SQLite in one file, or a schema of PostgreSQL.
// A system writes its statements once, with ? for arguments, and its migrations once:
//
//	s, err := store.Open(ctx, store.Config{URL: url, Dir: dir, Name: "notify"}, migrations)
//	err = s.Tx(ctx, func(tx *store.Tx) error {
//		_, err := tx.Exec(ctx, "UPDATE session SET ended_at = ? WHERE id = ?", now, id)
//		return err
//	})
//
// What is common to both databases, and so what statements may use: TEXT, BIGINT, BOOLEAN and DOUBLE PRECISION columns, the
// three words of [Open] for migrations, INSERT … ON CONFLICT, RETURNING, common table expressions, and window functions. Keep
// times as BIGINT milliseconds since 1970 in UTC: then they compare and sort alike on both.
//
// A transaction is durable when [Store.Tx] returns: SQLite runs with synchronous=FULL, PostgreSQL as its server says.
package store
