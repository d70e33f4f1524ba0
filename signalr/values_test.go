package signalr

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The types of the .NET methods in testdata, as a Go program would have them.
type (
	uuid  [16]byte
	color int
	perm  string
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
		ReadOnly int32 `msgpack:"-"`
		IsOn     bool
		Field    int32
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
		_   struct{} `msgpack:",as_array"`
		A   int32
		Gap any
		B   *string
	}
	named struct {
		A int32  `msgpack:"a"`
		B string `msgpack:"b_b"`
	}
	pair struct {
		_     struct{} `msgpack:",as_array"`
		Key   string
		Value int32
	}
	tuple struct {
		_     struct{} `msgpack:",as_array"`
		Item1 int32
		Item2 string
	}
	offset struct {
		_       struct{} `msgpack:",as_array"`
		Clock   time.Time
		Minutes int16
	}
	node struct {
		Next  *node
		Value any
	}
	deep struct {
		*Deeper
		Own int
	}
	// Deeper is exported so that its fields show.
	Deeper struct {
		Own, Other int
	}
	shout string
	octet byte
	mac   [6]byte
	loop  *loop
)

func (s shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(s))), nil }

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

// color is a .NET enum, which goes by its name.
var colors = map[color]string{0: "Red", 1: "Green", 7: "Blue"}

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

// packTypes name the Go type for each .NET type of testdata.
var packTypes = map[string]reflect.Type{
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
	"Decimal": reflect.TypeFor[string](), "Char": reflect.TypeFor[uint16](),
	"DateTimeOffset": reflect.TypeFor[offset](), "DateOnly": reflect.TypeFor[int32](), "TimeOnly": reflect.TypeFor[int64](),
	"LowEnum": reflect.TypeFor[string](), "Perm": reflect.TypeFor[perm](),
	"Keyed": reflect.TypeFor[keyed](), "Named": reflect.TypeFor[named](),
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

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestMessagePackValues(t *testing.T) {
	t.Parallel()
	p := msgpackProtocol{}
	for _, row := range rows(t, "msgpack-values.txt") {
		name, want := row[0], row[1]
		typ, ok := packTypes[name]
		if !ok {
			t.Errorf("no Go type for %s", name)
			continue
		}
		v := reflect.New(typ)
		if err := p.Decode(unhex(want), v.Interface()); err != nil {
			t.Errorf("%s: read %s: %v", name, want, err)
			continue
		}
		if got, err := p.appendAny(nil, v.Elem().Interface()); err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s: read %s as %#v and wrote %x (%v)", name, want, v.Elem(), got, err)
		}
	}
}

func TestMessagePackBinding(t *testing.T) {
	t.Parallel()
	for _, row := range rows(t, "msgpack-binding.txt") {
		name, arg, want := row[0], row[1], row[2]
		typ, ok := packTypes[name]
		if !ok {
			t.Errorf("no Go type for %s", name)
			continue
		}
		got := "read"
		if err := (msgpackProtocol{}).Decode(unhex(arg), reflect.New(typ).Interface()); err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("%s: %s of %s, want %s", name, got, arg, want)
		}
	}
}
