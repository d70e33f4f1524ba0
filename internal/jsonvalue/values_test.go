package jsonvalue_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// The types of the .NET methods in testdata, as a Go program would have them.
type (
	uuid  [16]byte
	color int
	inner struct {
		Number    int32
		TextValue *string
	}
	outer struct {
		Name     *string
		MaybeInt *int32
		Child    *inner
		Items    []inner
		Map      map[string]int32
		ReadOnly int32
		IsOn     bool
		Field    int32 `json:"-"`
	}
	derived struct {
		inner2
		Extra string
	}
	inner2 = Inner
	// Inner is exported because only the fields of an exported embedded struct show.
	Inner = inner
	point struct{ X, Y int32 }
	rec   struct {
		A int32
		B *string
	}
	keyed struct {
		A   int32
		Gap any `json:"-"`
		B   *string
	}
	pair struct {
		Key   string
		Value int32
	}
	tuple struct {
		Item1 int32
		Item2 string
	}
)

func (u uuid) MarshalText() ([]byte, error) {
	h := hex.EncodeToString(u[:])
	return []byte(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]), nil
}

func (u *uuid) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.ReplaceAll(string(text), "-", ""))
	if err == nil && len(b) != 16 {
		err = fmt.Errorf("%d bytes, want 16", len(b))
	}
	copy(u[:], b)
	return err
}

// color is a .NET enum: a number as a value, a name as a key.
var colors = map[color]string{0: "Red", 1: "Green", 7: "Blue"}

func (c color) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, int64(c), 10), nil }

func (c *color) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(string(b))
	*c = color(n)
	return err
}

func (c color) MarshalText() ([]byte, error) {
	if name, ok := colors[c]; ok {
		return []byte(name), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}

func (c *color) UnmarshalText(text []byte) error {
	for n, name := range colors {
		if name == string(text) {
			*c = n
			return nil
		}
	}
	n, err := strconv.Atoi(string(text))
	*c = color(n)
	return err
}

// types name the Go type for each .NET type of testdata.
var types = map[string]reflect.Type{
	"Bool": reflect.TypeFor[bool](), "Byte": reflect.TypeFor[uint8](), "SByte": reflect.TypeFor[int8](),
	"Int16": reflect.TypeFor[int16](), "UInt16": reflect.TypeFor[uint16](), "Int32": reflect.TypeFor[int32](),
	"UInt32": reflect.TypeFor[uint32](), "Int64": reflect.TypeFor[int64](), "UInt64": reflect.TypeFor[uint64](),
	"Single": reflect.TypeFor[float32](), "Double": reflect.TypeFor[float64](), "Half": reflect.TypeFor[float32](),
	"String": reflect.TypeFor[*string](), "Uri": reflect.TypeFor[string](), "Version": reflect.TypeFor[string](),
	"DateTime": reflect.TypeFor[time.Time](), "DateTimeKind": reflect.TypeFor[time.Time](), "NullDateTime": reflect.TypeFor[*time.Time](),
	"TimeSpan": reflect.TypeFor[time.Duration](), "Guid": reflect.TypeFor[uuid](), "NullGuid": reflect.TypeFor[*uuid](),
	"Bytes": reflect.TypeFor[[]byte](), "MemoryOfByte": reflect.TypeFor[[]byte](), "ListOfByte": reflect.TypeFor[[]uint16](),
	"Color": reflect.TypeFor[color](), "NullColor": reflect.TypeFor[*color](), "NullInt": reflect.TypeFor[*int32](),
	"Ints": reflect.TypeFor[[]int32](), "Strings": reflect.TypeFor[[]*string](), "Jagged": reflect.TypeFor[[][]int32](),
	"Set": reflect.TypeFor[[]int32](), "Enumerable": reflect.TypeFor[[]int32](),
	"MapSI": reflect.TypeFor[map[string]int32](), "MapIS": reflect.TypeFor[map[int32]string](), "MapGI": reflect.TypeFor[map[uuid]int32](),
	"MapCI": reflect.TypeFor[map[color]int32](), "MapDI": reflect.TypeFor[map[time.Time]int32](), "MapBI": reflect.TypeFor[map[bool]int32](),
	"Pair": reflect.TypeFor[pair](), "Tuple": reflect.TypeFor[tuple](), "VTuple": reflect.TypeFor[tuple](),
	"Inner": reflect.TypeFor[*inner](), "ShowInner": reflect.TypeFor[inner](), "Outer": reflect.TypeFor[outer](), "Show": reflect.TypeFor[outer](),
	"Derived": reflect.TypeFor[derived](), "Rec": reflect.TypeFor[rec](), "Point": reflect.TypeFor[point](),
	"Object": reflect.TypeFor[any](), "ObjectType": reflect.TypeFor[any](),
	"Decimal": reflect.TypeFor[json.Number](), "Int128": reflect.TypeFor[json.Number](), "Char": reflect.TypeFor[string](),
	"DateTimeOffset": reflect.TypeFor[time.Time](), "DateOnly": reflect.TypeFor[string](), "TimeOnly": reflect.TypeFor[string](),
	"LowEnum": reflect.TypeFor[int](), "Perm": reflect.TypeFor[int](),
	"Keyed": reflect.TypeFor[keyed](), "Named": reflect.TypeFor[rec](),
}

// rows reads a table of testdata.
func rows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all [][]string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			all = append(all, strings.Split(line, " | "))
		}
	}
	if len(all) < 50 {
		t.Fatalf("%s: %d rows, want the whole table", name, len(all))
	}
	return all
}

func TestValues(t *testing.T) {
	t.Parallel()
	c := jsonvalue.New(hubbub.CamelCase)
	for _, row := range rows(t, "json-values.txt") {
		name, want := row[0], strings.Join(row[1:], " | ")
		typ, ok := types[name]
		if !ok {
			t.Errorf("no Go type for %s", name)
			continue
		}
		v := reflect.New(typ)
		if err := c.Decode([]byte(want), v.Interface()); err != nil {
			t.Errorf("%s: read %s: %v", name, want, err)
			continue
		}
		if got, err := c.Append(nil, v.Elem().Interface()); err != nil || string(got) != want {
			t.Errorf("%s: read %s as %#v and wrote %s (%v)", name, want, v.Elem(), got, err)
		}
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	for _, row := range rows(t, "json-binding.txt") {
		name, arg, want := row[0], strings.Join(row[1:len(row)-1], " | "), row[len(row)-1]
		typ, ok := types[name]
		if !ok {
			t.Errorf("no Go type for %s", name)
			continue
		}
		got := "read"
		if err := jsonvalue.New(hubbub.CamelCase).Decode([]byte(arg), reflect.New(typ).Interface()); err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("%s: %s of %s, want %s", name, got, arg, want)
		}
	}
}
