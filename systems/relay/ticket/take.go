package ticket

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub/systems/store"
)

// taken is a ticket that this process has claimed.
type taken struct {
	seq    int64
	ticket Ticket
}

// claimText claims the most urgent ready tickets. On PostgreSQL each process passes over the rows that another one is just
// claiming.
func claimText(sqlite bool) string {
	lock := " FOR UPDATE SKIP LOCKED"
	if sqlite {
		lock = ""
	}
	return `WITH next AS MATERIALIZED (SELECT seq FROM ticket WHERE state = 1 ORDER BY rank, seq LIMIT ?` + lock + `)
		UPDATE ticket SET state = 2, node = ?, claim = ?, lease = ?, attempts = attempts + 1 WHERE seq IN (SELECT seq FROM next)`
}

// take claims up to n ready tickets for this process, with the number of the claim, and returns them in the order in which they
// should run. On SQLite, q is a transaction. On PostgreSQL it is the database itself: a serializable transaction over the head
// of the queue would fail against each other process that takes too, and the claim is one statement anyway.
func (q *Queue) take(ctx context.Context, in store.Queryer, claim int64, n int) ([]taken, error) {
	args := []any{n, q.node, claim, millis(q.now().Add(q.config.Lease))}
	var rows *sql.Rows
	var err error
	if q.sqlite {
		rows, err = in.Query(ctx, claimText(true)+" RETURNING rank, "+columns, args...)
	} else {
		var claimed int64
		if claimed, err = in.Exec(ctx, claimText(false), args...); err != nil || claimed == 0 {
			return nil, err
		}
		rows, err = in.Query(ctx, "SELECT rank, "+columns+" FROM ticket WHERE state = 2 AND node = ? AND claim = ?", q.node, claim)
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	type ranked struct {
		taken
		rank int64
	}
	var all []ranked
	for rows.Next() {
		var r ranked
		if r.seq, r.ticket, err = scan(ahead{rows, &r.rank}); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b ranked) int {
		if a.rank != b.rank {
			return compare(a.rank, b.rank)
		}
		return compare(a.seq, b.seq)
	})
	list := make([]taken, len(all))
	for i := range all {
		list[i] = all[i].taken
	}
	return list, nil
}

func compare(a, b int64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// ahead is a row with one more column before the others.
type ahead struct {
	row   scanner
	first any
}

// Scan implements scanner.
func (a ahead) Scan(dest ...any) error { return a.row.Scan(slices.Insert(dest, 0, a.first)...) }

// promote makes the tickets ready whose time has come, and those whose process has given no sign of life.
func (q *Queue) promote(ctx context.Context) error {
	now := millis(q.now())
	_, err := q.store.Exec(ctx, "UPDATE ticket SET state = 1 WHERE state = 0 AND earliest <= ?", now)
	if err != nil {
		return err
	}
	n, err := q.recover(ctx, "state = 2 AND lease <= ?", now)
	if n > 0 {
		q.log.WarnContext(ctx, "ticket: runs were cut off, their tickets run again", "tickets", n)
	}
	return err
}

// recover takes running tickets away from their processes: they are ready again, or have failed for good.
func (q *Queue) recover(ctx context.Context, which string, args ...any) (int64, error) {
	args = append([]any{q.config.MaxCutOff, q.config.MaxCutOff, errCutOff}, args...)
	n, err := q.store.Exec(ctx, `UPDATE ticket SET cut = cut + 1, node = '', claim = 0, lease = 0,
		state = CASE WHEN cut + 1 >= ? THEN 4 ELSE 1 END, error = CASE WHEN cut + 1 >= ? THEN ? ELSE '' END WHERE `+which, args...)
	q.counts.recovered.Add(n)
	return n, err
}

// errCutOff is the Error of a ticket that does not survive its runs, or whose runs the process does not survive.
const errCutOff = "the runs were cut off too often, by the end of the process or without reaching the objects"

// due returns when the next waiting ticket has its time, and false if none waits.
func (q *Queue) due(ctx context.Context) (time.Time, bool, error) {
	var at sql.NullInt64
	err := q.store.QueryRow(ctx, "SELECT min(earliest) FROM ticket WHERE state = 0").Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, err
	}
	return fromMillis(at.Int64), at.Valid, nil
}

// beat keeps the tickets of this process: it returns those that it has lost, because it was silent for too long.
func (q *Queue) beat(ctx context.Context, running []int64) (lost []int64, err error) {
	args := []any{millis(q.now().Add(q.config.Lease)), q.node}
	n, err := q.store.Exec(ctx, "UPDATE ticket SET lease = ? WHERE state = 2 AND node = ? AND seq IN ("+marks(len(running))+")",
		append(args, anys(running)...)...)
	if err != nil || n == int64(len(running)) {
		return nil, err
	}
	rows, err := q.store.Query(ctx, "SELECT seq FROM ticket WHERE state = 2 AND node = ? AND seq IN ("+marks(len(running))+")",
		append([]any{q.node}, anys(running)...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	mine := make(map[int64]bool)
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		mine[seq] = true
	}
	for _, seq := range running {
		if !mine[seq] {
			lost = append(lost, seq)
		}
	}
	return lost, rows.Err()
}

// marks are n question marks with commas between them.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func anys(list []int64) []any {
	all := make([]any, len(list))
	for i, v := range list {
		all[i] = v
	}
	return all
}
