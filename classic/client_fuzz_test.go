package classic

import (
	"encoding/json"
	"testing"
)

// FuzzReceived feeds the parser of what servers send, which is not exported: no text may make it panic, and what it takes is JSON.
func FuzzReceived(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"C":"d-E2D8CDD5-d,0|e,0|f,0|g,1","S":1,"M":[]}`, `{"R":"hé&+","I":"0"}`, `{"I":"2"}`, `{"I":null}`,
		`{"C":"d-E2D8CDD5-d,0|e,0|f,0|g,2","M":[{"I":"P|3","P":{"I":"3","D":0}}]}`,
		`{"I":"5","H":true,"E":"hub boom","D":{"Code":42,"Why":"because"}}`, `{"S":{"color":"red","count":5},"R":"blue","I":"6"}`,
		`{"C":"d-E2D8CDD5-d,1|e,0|f,0|g,3","M":[{"H":"RefHub","M":"Msg","A":["all","x"]}]}`, `{"C":"x","T":1,"L":2000,"G":"g","M":["hello",7]}`,
	} {
		f.Add([]byte(seed))
	}
	values := newCodec()
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseReceived(data, values)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("took %q", data)
		}
		for _, raw := range r.elements {
			if e, err := parseElement(raw); err == nil && e != nil && e.P == nil && (e.H == "" || e.M == "") {
				t.Fatalf("took %q as a call", raw)
			}
		}
	})
}
