package jsonvalue_test

import (
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

type (
	named1 struct {
		URLPath, ID, IPAddress, A, X1Y string
		Lower                          int
		Tagged                         int       `json:"TAGGED"`
		Left                           string    `json:"left,omitempty"`
		Since                          time.Time `json:",omitzero"`
		Hidden                         int       `json:"-"`
		Quoted                         int64     `json:",string"`
		private                        int
	}
	node struct {
		Next  *node
		Value any
	}
	deep struct {
		*Deeper
		Own int
	}
	Deeper struct {
		Own, Other int
	}
	boxed struct {
		Box     Deeper2 `json:"box"`
		Deeper2 `json:"inner"`
	}
	Deeper2   struct{ N int }
	shout     string
	byPointer struct{ n int }
	octet     byte
	mac       [6]byte
	loop      *loop
)

func (s shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(s))), nil }

func (b *byPointer) MarshalJSON() ([]byte, error) { return []byte(`"by pointer"`), nil }

func (b *byPointer) UnmarshalJSON(raw []byte) error {
	b.n = len(raw)
	return nil
}

func TestWrite(t *testing.T) {
	t.Parallel()
	nine := 9
	utc := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, `null`}, {true, `true`}, {"é", `"é"`}, {[]byte{0xfb, 0xff, 0xfe}, `"+//+"`}, {[]byte(nil), `null`}, {[]byte{}, `""`},
		{int8(-128), `-128`}, {uint64(math.MaxUint64), `18446744073709551615`}, {uint16(7), `7`},
		{&nine, `9`}, {(*int)(nil), `null`}, {[]int(nil), `null`}, {[]int{}, `[]`}, {[2]bool{true, false}, `[true,false]`},
		{map[string]int(nil), `null`}, {map[string]any{"b": 1, "A": nil, "a b": []any{1.5}}, `{"A":null,"a b":[1.5],"b":1}`},
		{map[int]string{1: "a", -5: "b"}, `{"-5":"b","1":"a"}`}, {map[bool]int{true: 1, false: 0}, `{"False":0,"True":1}`},
		{map[any]int{"x": 1, 2: 2}, `{"2":2,"x":1}`}, {map[shout]int{"x": 1}, `{"x":1}`},
		{named1{}, `{"urlPath":"","id":"","ipAddress":"","a":"","x1Y":"","lower":0,"TAGGED":0,"quoted":"0"}`},
		{named1{Left: "l", Since: utc}, `{"urlPath":"","id":"","ipAddress":"","a":"","x1Y":"","lower":0,"TAGGED":0,"left":"l","since":"2024-01-02T03:04:05Z","quoted":"0"}`},
		{struct{ P *int }{&nine}, `{"p":9}`}, {struct{}{}, `{}`},
		{node{Value: node{}}, `{"next":null,"value":{"next":null,"value":null}}`},
		{deep{Own: 1}, `{"own":1}`}, {deep{&Deeper{2, 3}, 1}, `{"own":1,"other":3}`},
		{boxed{Box: Deeper2{1}, Deeper2: Deeper2{2}}, `{"box":{"n":1},"inner":{"n":2}}`},
		{shout("x"), `"X"`}, {[]shout{"x"}, `["X"]`}, {byPointer{}, `{}`}, {&byPointer{}, `"by pointer"`}, {[]byPointer{{}}, `["by pointer"]`},
		{(*byPointer)(nil), `null`}, {octet(5), `5`}, {[]octet{1, 2}, `"AQI="`}, {mac{1, 2, 3, 4, 5, 6}, `"AQIDBAUG"`},
		{json.RawMessage(`{"a": 1}`), `{"a": 1}`}, {json.RawMessage(nil), `null`}, {json.Number("1.50"), `1.50`}, {json.Number(""), `0`},
		{struct{ R json.RawMessage }{json.RawMessage(`[]`)}, `{"r":[]}`}, {big.NewInt(7), `7`}, {netip.MustParseAddr("::1"), `"::1"`},
		{utc, `"2024-01-02T03:04:05Z"`}, {utc.Add(678 * time.Millisecond), `"2024-01-02T03:04:05.678Z"`},
		{utc.Add(123456789), `"2024-01-02T03:04:05.1234567Z"`}, {utc.Add(99), `"2024-01-02T03:04:05Z"`}, {time.Time{}, `"0001-01-01T00:00:00Z"`},
		{utc.In(time.FixedZone("", -(5*60+30)*60)), `"2024-01-01T21:34:05-05:30"`}, {utc.In(time.FixedZone("", 0)), `"2024-01-02T03:04:05+00:00"`},
		{time.Duration(0), `"00:00:00"`}, {90 * time.Second, `"00:01:30"`}, {-90 * time.Second, `"-00:01:30"`}, {1500 * time.Microsecond, `"00:00:00.0015000"`},
		{26*time.Hour + 3*time.Minute + 4*time.Second + 5*time.Millisecond, `"1.02:03:04.0050000"`}, {99 * time.Nanosecond, `"00:00:00"`},
		{time.Duration(math.MinInt64), `"-106751.23:47:16.8547758"`}, {struct{ D time.Duration }{time.Hour}, `{"d":"01:00:00"}`},
	} {
		got, err := jsonvalue.New(hubbub.CamelCase).Append(nil, c.v)
		if err != nil || string(got) != c.want {
			t.Errorf("write %#v: %s, %v, want %s", c.v, got, err, c.want)
		}
	}
}

// clash has members that want one name, and names that fold in uncommon ways.
type clash struct {
	clashA
	ClashB
	Long  int `json:"a_name_that_is_longer_than_the_sixty_four_bytes_of_the_space_on_the_stack"`
	Größe int
	Kind  int `json:"kind"`
	KIND  int
}

type (
	clashA struct {
		Same, OfA int
		Tie       int
	}
	// ClashB is exported so that its fields show.
	ClashB struct {
		Other int `json:"same"`
		Tie   int
		OfB   int `json:"kind"`
	}
)

func TestNames(t *testing.T) {
	t.Parallel()
	p := jsonvalue.New(hubbub.CamelCase)
	v := clash{clashA: clashA{Same: 1, OfA: 2, Tie: 3}, ClashB: ClashB{Other: 4, Tie: 5, OfB: 6}, Long: 7, Größe: 8, Kind: 9, KIND: 10}
	const want = `{"a_name_that_is_longer_than_the_sixty_four_bytes_of_the_space_on_the_stack":7,"größe":8,"kind":9,"ofA":2,"same":4}`
	if out, err := p.Append(nil, v); err != nil || string(out) != want {
		t.Errorf("names: %s, %v, want %s", out, err, want)
	}
	const in = `{"A_NAME_THAT_IS_LONGER_THAN_THE_SIXTY_FOUR_BYTES_OF_THE_SPACE_ON_THE_STACK":7,"GRÖSSE":1,"gr\u00d6\u00dfe":8,"KIND":9,"OFA":2,"Same":4,"tie":5}`
	var got clash
	if err := p.Decode([]byte(in), &got); err != nil || got != (clash{clashA: clashA{OfA: 2}, ClashB: ClashB{Other: 4}, Long: 7, Größe: 8, Kind: 9}) {
		t.Errorf("names in other cases: %+v, %v", got, err)
	}
	_ = named1{}.private
}

func TestWriteAsDeclared(t *testing.T) {
	t.Parallel()
	got, err := jsonvalue.New(hubbub.AsDeclared).Append(nil, []any{named1{Left: "x"}, map[string]int{"Key": 1}})
	const want = `[{"URLPath":"","ID":"","IPAddress":"","A":"","X1Y":"","Lower":0,"TAGGED":0,"left":"x","Quoted":"0"},{"Key":1}]`
	if err != nil || string(got) != want {
		t.Errorf("as declared: %s, %v, want %s", got, err, want)
	}
}

func TestFloats(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		0: "0", 1: "1", -1.5: "-1.5", 0.1: "0.1", 100: "100", 1234.5678: "1234.5678", 1e14: "100000000000000", 1e15: "1E+15", 123e13: "1.23E+15",
		9007199254740992: "9007199254740992", 1e21: "1E+21", 1e-4: "0.0001", 1.5e-4: "0.00015", 1e-5: "1E-05", 1e-7: "1E-07",
		math.MaxFloat64: "1.7976931348623157E+308", math.SmallestNonzeroFloat64: "5E-324", math.Copysign(0, -1): "-0", -12e-10: "-1.2E-09",
	} {
		if f == 0 && math.Signbit(f) {
			want = "-0"
		}
		if got, err := jsonvalue.New(hubbub.CamelCase).Append(nil, f); err != nil || string(got) != want {
			t.Errorf("write %g: %s, %v, want %s", f, got, err, want)
		}
	}
	for f, want := range map[float32]string{1e6: "1000000", 1e7: "1E+07", 16777216: "16777216", 0.1: "0.1", math.MaxFloat32: "3.4028235E+38"} {
		if got, err := jsonvalue.New(hubbub.CamelCase).Append(nil, f); err != nil || string(got) != want {
			t.Errorf("write %g: %s, %v, want %s", f, got, err, want)
		}
	}
}

func TestCannotWrite(t *testing.T) {
	t.Parallel()
	const notFinite = ".NET number values such as positive and negative infinity cannot be written as valid JSON."
	ring := &node{}
	ring.Next = ring
	var self any
	self = &self
	var pointer loop
	pointer = &pointer
	for _, c := range []struct {
		v    any
		want string
	}{
		{math.NaN(), notFinite}, {math.Inf(1), notFinite}, {float32(math.Inf(-1)), notFinite}, {[]float64{1, math.NaN()}, notFinite},
		{struct{ F float64 }{math.Inf(1)}, "f: " + notFinite}, {ring, "deeper than 64"}, {self, "deeper than 64"}, {pointer, "deeper than 64"},
		{make(chan int), "chan int"}, {func() {}, "func()"}, {map[float64]int{1: 1}, "map key of type float64"}, {complex(1, 1), "complex128"},
		{json.RawMessage(`{`), "raw JSON"}, {json.RawMessage(`{}{}`), "raw JSON"}, {json.RawMessage("\x1e"), "raw JSON"}, {json.Number("x"), "raw JSON"},
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "year 10000"},
	} {
		dst, err := jsonvalue.New(hubbub.CamelCase).AppendValue([]byte("kept"), hubbub.ValueOf(c.v))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(string(dst), "kept") {
			t.Errorf("append %T: %q, %v, want %s", c.v, dst, err, c.want)
		}
	}
}
