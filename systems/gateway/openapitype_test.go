package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

type place struct {
	Name string   `json:"name"`
	Near []place  `json:"near"`
	Home *country `json:"home"`
}

type country struct {
	Code    string            `json:"code"`
	Capital *place            `json:"capital,omitempty"`
	Names   map[string]string `json:"names"`
}

type stamped struct {
	At   time.Time `json:"at"`
	Name int       // hidden by the outer one
}

type pointed struct{ Extra string }

type everything struct {
	stamped
	*pointed
	Name      string `json:"Name"`
	Place     place
	Pointer   **int
	Maybe     *place `json:"maybe,omitzero"`
	Bytes     []byte `json:"bytes"`
	Any       any    `json:"any"`
	Raw       json.RawMessage
	Number    json.Number
	Text      url.URL       `json:"text"`
	Duration  time.Duration `json:"duration,string"`
	Flag      bool          `json:",omitempty"`
	Small     uint8
	Ratio     float32
	Pair      [2]int
	Own       own
	Inline    struct{ X int }
	List      []list[int]
	Left      string `json:"-"`
	private   int
	Interface interface{ String() string }
}

type own struct{}

func (own) MarshalText() ([]byte, error) { return []byte("own"), nil }

type list[T any] struct{ Items []T }

// TestSchemaOf: the schema of a type fits what encoding/json makes of its values, by the judgement of the document's validator, and
// what other JSON is does not.
func TestSchemaOf(t *testing.T) {
	t.Parallel()
	got := string(gateway.SchemaOf[place]())
	want := `{"$ref":"#/$defs/place","$defs":{"place":{"type":"object","properties":{"name":{"type":"string"},"near":{"type":"array","items":{"$ref":"#/$defs/place"}},` +
		`"home":{"anyOf":[{"$ref":"#/$defs/country"},{"type":"null"}]}},"required":["name","near","home"]},` +
		`"country":{"type":"object","properties":{"code":{"type":"string"},"capital":{"anyOf":[{"$ref":"#/$defs/place"},{"type":"null"}]},` +
		`"names":{"type":"object","additionalProperties":{"type":"string"}}},"required":["code","names"]}}}`
	if got != want {
		t.Errorf("schema\n%s, want\n%s", got, want)
	}
	for want, schema := range map[string]json.RawMessage{`{"type":"string"}`: gateway.SchemaOf[string](), `{"type":["integer","null"]}`: gateway.SchemaOf[*int](), `{}`: gateway.SchemaOf[any](),
		`{"type":"array","items":{"type":"string","format":"date-time"}}`: gateway.SchemaOf[[]time.Time](), `{"type":"object","additionalProperties":{}}`: gateway.SchemaOf[map[int]json.RawMessage]()} {
		if string(schema) != want {
			t.Errorf("schema %s, want %s", schema, want)
		}
	}

	answers := make(chan []byte, 1)
	base := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(<-answers)
	})
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("a", gateway.API{BaseURLs: []string{base}}).AddRoute("r", gateway.Route{ResponseSchema: gateway.SchemaOf[everything]()})
	})
	_, router := s.described()
	n := 7
	p := &n
	value := everything{stamped: stamped{At: time.Now()}, Name: "x", Any: 1.5, private: 1, Interface: time.UTC, Pointer: &p, Bytes: []byte("b"), Number: "1.5", Raw: []byte(`{"a":[]}`), List: []list[int]{{Items: []int{1}}},
		Place: place{Name: "Bern", Near: []place{{Name: "Thun", Near: []place{}}}, Home: &country{Code: "CH", Names: map[string]string{"de": "Schweiz"}}}}
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	value.pointed, value.Maybe, value.Pointer = &pointed{"e"}, &place{Near: []place{}}, nil
	full, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ body, wrong string }{
		{string(raw), ""}, {string(full), ""},
		{strings.Replace(string(raw), `"Small":0`, `"Small":-1`, 1), "Small"},
		{strings.Replace(string(raw), `"name":"Thun"`, `"name":1`, 1), "name"},
		{strings.Replace(string(raw), `"Name":"x",`, ``, 1), "Name"},
		{strings.Replace(string(raw), `"duration":"0"`, `"duration":0`, 1), "duration"},
		{strings.Replace(string(raw), `"Schweiz"`, `null`, 1), "de"},
	} {
		answers <- []byte(x.body)
		_, _, err := s.conforms(router, "GET", "/api/Gateway/a/r", "")
		complain(t, x.body, err, x.wrong)
	}
}

// TestSchemaOfNothing: what has no JSON form is a mistake of the program.
func TestSchemaOfNothing(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func() json.RawMessage{"chan int": gateway.SchemaOf[chan int], "func()": gateway.SchemaOf[struct{ F func() }], "complex128": gateway.SchemaOf[[]complex128]} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, name) {
					t.Errorf("panic %q, want one with %q", text, name)
				}
			}()
			f()
		}()
	}
}
