package classic

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hubbub-go/hubbub"
)

// The parsers of what clients send are not exported, and over the wire a fuzzer sees little of what they have understood.

// FuzzValues reads queries and bodies of forms: no text may make it panic, names come out in lower case, and a pair that was
// escaped comes out as it was.
func FuzzValues(f *testing.F) {
	f.Add("clientProtocol=1.4;connectionData=[%7B%22Name%22:%22RefHub%22%7D]", "data", `{"I":"0","H":"RefHub"}`)
	f.Add("a=1&A=2;=&%zz=%&&a", "x y", "a&b;c=d+%20é")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, raw, name, value string) {
		for n := range parseValues(raw) {
			if n != strings.ToLower(n) {
				t.Errorf("the name %q is not in lower case", n)
			}
		}
		v := parseValues(url.QueryEscape(name) + "=" + url.QueryEscape(value))
		if got := v.get(strings.ToLower(name)); len(v) != 1 || got != value {
			t.Errorf("%q=%q came back as %q", name, value, v)
		}
	})
}

// FuzzConnectionData reads lists of hubs: what is taken is JSON, and its names written again are the same names.
func FuzzConnectionData(f *testing.F) {
	for _, seed := range []string{`[{"name":"refhub"}]`, `[{"Name":"RefHub"},{"NAME":"Other","x":[1]}]`, `[]`, ` `, `[null]`, `[{"name":null}]`, `{"name":"a"}`,
		`[{"name":"a","name":"b"}]`, strings.Repeat("[", 30)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names, err := parseConnectionData(s)
		if err != nil || names == nil {
			return
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("took %q", s)
		}
		list := make([]struct{ Name string }, len(names))
		for i, n := range names {
			list[i].Name = n
		}
		b, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseConnectionData(string(b))
		if err != nil || strings.Join(again, "\x00") != strings.Join(names, "\x00") {
			t.Fatalf("names %q of %q came back as %q, %v", names, s, again, err)
		}
	})
}

func fuzzKeys(f *testing.F) *hubbub.KeyRing {
	f.Helper()
	keys, err := hubbub.NewKeyRing(hubbub.Key{ID: 7, Secret: bytes.Repeat([]byte("k"), 40)})
	if err != nil {
		f.Fatal(err)
	}
	return keys
}

// FuzzConnectionToken reads connection tokens: there is one text for each that is taken, the one that was handed out.
func FuzzConnectionToken(f *testing.F) {
	keys := fuzzKeys(f)
	t0 := connectionToken{id: [16]byte{1, 2, 3}, user: userHash(&hubbub.User{Name: "ann"})}
	good := t0.encode(keys)
	f.Add(good)
	f.Add(good + "=")
	f.Add(good[:len(good)-1])
	f.Add("+" + good[1:])
	f.Add(good[:20] + "\r\n" + good[20:])
	f.Add(groupsToken(keys, t0.connectionID(), nil))
	f.Fuzz(func(t *testing.T, s string) {
		token, ok := parseConnectionToken(s, keys)
		if ok && token.encode(keys) != s {
			t.Fatalf("took %q, want only %q", s, token.encode(keys))
		}
		if !ok && s == good {
			t.Fatal("its own token is refused")
		}
	})
}

// FuzzGroupsToken reads groups tokens: one that is taken is one that was handed out to this connection.
func FuzzGroupsToken(f *testing.F) {
	keys := fuzzKeys(f)
	const id, other = "b6941e4f-bce8-4dcc-a1cf-b444df8bd229", "b6941e4f-bce8-4dcc-a1cf-b444df8bd22a"
	good := groupsToken(keys, id, map[string][]string{"RefHub": {"a", "b\"c"}, "Other": {}})
	f.Add(good)
	f.Add(good + "A")
	f.Add(groupsToken(keys, other, map[string][]string{"RefHub": {"a"}}))
	f.Add(sign(keys, connectionPurpose, []byte(id+`{"RefHub":["a"]}`)))
	f.Add(sign(keys, groupsPurpose, []byte(id+`[1]`)))
	f.Fuzz(func(t *testing.T, s string) {
		groups := parseGroupsToken(s, keys, id)
		if groups != nil && groupsToken(keys, id, groups) != s {
			t.Fatalf("took %q as %v", s, groups)
		}
		if groups != nil && parseGroupsToken(s, keys, other) != nil {
			t.Fatalf("took %q for two connections", s)
		}
		if groups == nil && s == good {
			t.Fatal("its own token is refused")
		}
	})
}

// FuzzCursor reads cursors: a number that was written comes back, and nothing of another epoch is known.
func FuzzCursor(f *testing.F) {
	f.Add("d-00ff00ff00ff-1a", "00ff00ff00ff", uint64(26))
	f.Add("d-00ff00ff00ff-", "00ff00ff00ff", uint64(1<<64-1))
	f.Add("d-E2D8CDD5-d,0|e,0|f,0|g,1", "", uint64(0))
	f.Fuzz(func(t *testing.T, s, epoch string, number uint64) {
		written := string(appendCursor(nil, epoch, number))
		if n, known, ok := parseCursor(written, epoch); n != number || !known || !ok {
			t.Fatalf("%q came back as %d, %v, %v", written, n, known, ok)
		}
		n, known, ok := parseCursor(s, epoch)
		if known != strings.HasPrefix(s, "d-"+epoch+"-") || !known && (n != 0 || !ok) {
			t.Fatalf("%q of epoch %q: %d, %v, %v", s, epoch, n, known, ok)
		}
		if known && ok {
			if again, _, _ := parseCursor(string(appendCursor(nil, epoch, n)), epoch); again != n {
				t.Fatalf("%q is %d and then %d", s, n, again)
			}
		}
	})
}

// FuzzInvocation reads messages of clients. What is taken is one JSON text, and means what encoding/json reads in it.
func FuzzInvocation(f *testing.F) {
	for _, seed := range []string{
		`{"H":"refhub","M":"Echo","A":["hi"],"I":0}`, `{"I":"0","H":"RefHub","M":"Add","A":[1,2],"S":{"a":1}}`, `{"h":"a","m":"b"}`, `{"H":null,"M":"x"}`,
		`{"H":"a","M":"b","I":null,"A":null,"S":null}`, ` {"H":"a" , "M":"\u0062\n","x":{"y":[1]}} `, `{"H":"a","M":"b"}{}`, `[1]`, `null`, ``, `{"H":"a","H":"b","M":"c"}`,
		`{"H":"a","M":"b","A":[` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `]}`, `{"H":"a","M":"b","S":{"x":"` + strings.Repeat("x", 5000) + `"}}`,
	} {
		f.Add([]byte(seed))
	}
	values := newCodec()
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := parseInvocation(data, values)
		if err != nil || !utf8.Valid(data) || bytes.Contains(bytes.ToLower(data), []byte(`\ud`)) {
			return // what is no text is refused where it is wanted
		}
		var want struct {
			H, M string
			A    []json.RawMessage
			I    json.RawMessage
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("took %q: %v", data, err)
		}
		var names map[string]json.RawMessage
		if err := json.Unmarshal(data, &names); err != nil {
			t.Fatal(err)
		}
		folded := map[string]bool{}
		for n := range names {
			folded[strings.ToUpper(n)] = true
		}
		if len(folded) < len(names) || bytes.Count(data, []byte(`":`)) > len(names) {
			return // a name may be there twice
		}
		if in.hub != want.H || in.method != want.M || len(in.args) != len(want.A) {
			t.Fatalf("%q is %q.%q of %d arguments, want %q.%q of %d", data, in.hub, in.method, len(in.args), want.H, want.M, len(want.A))
		}
		for i, a := range in.args {
			if !bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(want.A[i])) {
				t.Fatalf("argument %d of %q is %q, want %q", i, data, a, want.A[i])
			}
		}
		if (in.id != nil) != (want.I != nil && string(want.I) != "null") {
			t.Fatalf("%q has an id: %v", data, in.id != nil)
		}
	})
}

// FuzzCallback checks names of JSONP against what JavaScript takes.
func FuzzCallback(f *testing.F) {
	for _, seed := range []string{"cb", "jQuery1.$_a9", "a..b", "", "9a", "alert(1)//", "window.class", "é", "a\n", "@", "["} {
		f.Add(seed)
	}
	name := regexp.MustCompile(`\A[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*\z`)
	f.Fuzz(func(t *testing.T, s string) {
		want := name.MatchString(s)
		for part := range strings.SplitSeq(s, ".") {
			want = want && !reserved[part]
		}
		if got := validCallback(s); got != want {
			t.Fatalf("%q is valid: %v, want %v", s, got, want)
		}
	})
}
