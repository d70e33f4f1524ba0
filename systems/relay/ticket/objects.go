package ticket

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Objects are what view models run for. Attributes are nil, bool, int64, float64, string, []any and map[string]any. The q of a
// call is the database, or the transaction that ends a ticket, which may run several times; objects that are kept elsewhere do
// not look at it, and then a change that a ticket makes may be made again after a crash or an error of the database. All methods
// may be called by several goroutines at once.
type Objects interface {
	// Attributes returns the attributes of an object, which then belong to the caller. Without such an object the error is an
	// [ErrNoObject].
	Attributes(ctx context.Context, q store.Queryer, id string) (map[string]any, error)
	// Put makes an object or replaces all its attributes.
	Put(ctx context.Context, q store.Queryer, id string, attributes map[string]any) error
	// Delete removes an object. Without such an object the error is an [ErrNoObject].
	Delete(ctx context.Context, q store.Queryer, id string) error
	// List returns up to n objects of a class, or of all for "", with larger ids than after, in the order of their ids.
	List(ctx context.Context, q store.Queryer, class, after string, n int) ([]viewmodel.Object, error)
}

// table keeps objects in the database.
type table struct{}

// Attributes implements [Objects].
func (table) Attributes(ctx context.Context, q store.Queryer, id string) (map[string]any, error) {
	var text string
	err := q.QueryRow(ctx, "SELECT attributes FROM object WHERE id = ?", id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %q", ErrNoObject, id)
	}
	if err != nil {
		return nil, err
	}
	return decodeAttributes(strings.NewReader(text))
}

// Put implements [Objects].
func (table) Put(ctx context.Context, q store.Queryer, id string, attributes map[string]any) error {
	text, err := encode(attributes)
	if err != nil {
		return fmt.Errorf("attributes of %s: %w", id, err)
	}
	_, err = q.Exec(ctx, `INSERT INTO object (id, class, attributes) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET attributes = excluded.attributes`, id, viewmodel.ClassOf(id), string(text))
	return err
}

// Delete implements [Objects].
func (table) Delete(ctx context.Context, q store.Queryer, id string) error {
	n, err := q.Exec(ctx, "DELETE FROM object WHERE id = ?", id)
	if err == nil && n == 0 {
		return fmt.Errorf("%w: %q", ErrNoObject, id)
	}
	return err
}

// List implements [Objects].
func (table) List(ctx context.Context, q store.Queryer, class, after string, n int) ([]viewmodel.Object, error) {
	query, args := "SELECT id, attributes FROM object WHERE id > ? ORDER BY id LIMIT ?", []any{after, n}
	if class != "" {
		query, args = "SELECT id, attributes FROM object WHERE class = ? AND id > ? ORDER BY id LIMIT ?", []any{class, after, n}
	}
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []viewmodel.Object
	for rows.Next() {
		var o viewmodel.Object
		var text string
		if err := rows.Scan(&o.ID, &text); err != nil {
			return nil, err
		}
		if o.Attributes, err = decodeAttributes(strings.NewReader(text)); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

// encode writes JSON as it is, without the escapes that HTML would need.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decodeAttributes reads one JSON object and nothing after it. Numbers without fraction and exponent that fit are int64.
func decodeAttributes(r io.Reader) (map[string]any, error) {
	d := json.NewDecoder(r)
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("got null, want a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("got more than one JSON value")
	}
	if _, err := numbers(m); err != nil {
		return nil, err
	}
	return m, nil
}

// numbers replaces the numbers of a decoded value, and returns it.
func numbers(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("number %s: want one of 64 bits", clip(string(v)))
		}
		return f, nil
	case []any:
		for i := range v {
			if v[i], err = numbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = numbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// Object returns the attributes of an object. Without such an object the error is an [ErrNoObject].
func (q *Queue) Object(ctx context.Context, id string) (map[string]any, error) {
	if CheckID(id) != nil { // there can be none
		return nil, fmt.Errorf("%w: %q", ErrNoObject, clip(id))
	}
	attributes, err := q.config.Objects.Attributes(ctx, q.store, id)
	if err != nil {
		return nil, fmt.Errorf("ticket: read an object: %w", err)
	}
	return attributes, nil
}

// PutObject makes an object or replaces all its attributes. An external id that is none is an [ErrInvalid].
func (q *Queue) PutObject(ctx context.Context, id string, attributes map[string]any) error {
	if err := CheckID(id); err != nil {
		return fmt.Errorf("ticket: put an object: %w", err)
	}
	if attributes == nil {
		attributes = map[string]any{}
	}
	if err := q.config.Objects.Put(ctx, q.store, id, attributes); err != nil {
		return fmt.Errorf("ticket: put an object: %w", err)
	}
	return nil
}

// DeleteObject removes an object. Without such an object the error is an [ErrNoObject].
func (q *Queue) DeleteObject(ctx context.Context, id string) error {
	if CheckID(id) != nil {
		return fmt.Errorf("%w: %q", ErrNoObject, clip(id))
	}
	if err := q.config.Objects.Delete(ctx, q.store, id); err != nil {
		return fmt.Errorf("ticket: delete an object: %w", err)
	}
	return nil
}
