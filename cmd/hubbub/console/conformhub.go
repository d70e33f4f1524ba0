package console

import (
	"fmt"
	"strings"

	"github.com/coder/websocket"
)

// talks is a check of a dialogue over a WebSocket in JSON.
func talks(name string, better bool, path string, dialogue ...[]string) check {
	return check{name: name, better: better, run: func(p *probe) error {
		w, err := p.connect(path)
		if err != nil {
			return err
		}
		for _, d := range dialogue {
			if err := w.talk(d[:1], d[1:]...); err != nil {
				return err
			}
		}
		// A call behind it shows that nothing else came, and that the connection is well.
		return w.talk([]string{`{"type":1,"invocationId":"last","target":"Echo","arguments":["end"]}`}, `{"type":3,"invocationId":"last","result":"end"}`)
	}}
}

// call is an invocation with the id 1, its answer an error or a result.
func call(target, arguments string) string {
	return fmt.Sprintf(`{"type":1,"invocationId":"1","target":%q,"arguments":%s}`, target, arguments)
}

func fails(text string) string {
	return fmt.Sprintf(`{"type":3,"invocationId":"1","error":%q}`, text)
}

// sentenceChecks are about the errors that a client reads.
func sentenceChecks() []check {
	const failed, unexpected = "Failed to invoke '%s' due to an error on the server. ", "An unexpected error occurred invoking '%s' on the server. "
	var list []check
	for _, x := range []struct{ name, say, hear string }{
		{"unknown method", call("NoSuch", `[]`), fails(fmt.Sprintf(failed, "NoSuch") + "HubException: Method does not exist.")},
		{"too many arguments", call("Echo", `["a","b"]`), fails(fmt.Sprintf(failed, "Echo") + "InvalidDataException: Invocation provides 2 argument(s) but target expects 1.")},
		{"too few arguments", call("Echo", `[]`), fails(fmt.Sprintf(failed, "Echo") + "InvalidDataException: Invocation provides 0 argument(s) but target expects 1.")},
		{"declared name", call("eCHO", `[]`), fails(fmt.Sprintf(failed, "Echo") + "InvalidDataException: Invocation provides 0 argument(s) but target expects 1.")},
		{"wrong type", call("Echo", `[1]`), fails(fmt.Sprintf(failed, "Echo") +
			"InvalidDataException: Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.")},
		{"stream without StreamInvocation", call("Stream", `[]`),
			fails("The client attempted to invoke the streaming 'Stream' method with a non-streaming invocation.")},
		{"StreamInvocation without stream", `{"type":4,"invocationId":"1","target":"Echo","arguments":["x"]}`,
			fails("The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.")},
		{"no upload", call("StreamingConcat", `[]`), fails(fmt.Sprintf(unexpected, "StreamingConcat") + "HubException: Client sent 0 stream(s), Hub method expects 1.")},
		{"exception", call("ThrowException", `["boom"]`), fails(fmt.Sprintf(unexpected, "ThrowException") + "InvalidOperationException: boom")},
		{"stream that throws", `{"type":4,"invocationId":"1","target":"StreamThrowException","arguments":["boom"]}`,
			fails(fmt.Sprintf(unexpected, "StreamThrowException") + "InvalidOperationException: boom")},
	} {
		list = append(list, talks("sentence/"+x.name, false, testHub, []string{x.say, x.hear}))
	}
	return list
}

// messageChecks are about single messages and the end of a connection.
func messageChecks() []check {
	list := []check{
		talks("message/null result", false, testHub, []string{call("InvokeWithString", `["m"]`), `{"type":1,"target":"Message","arguments":["m"]}`, `{"type":3,"invocationId":"1","result":null}`}),
		talks("message/target without regard to case", false, testHub, []string{call("eChO", `["x"]`), `{"type":3,"invocationId":"1","result":"x"}`}),
		talks("message/no answer without id", false, testHub, []string{`{"type":1,"target":"NoSuch","arguments":[]}`}),
		talks("message/unknown type", true, testHub, []string{`{"type":99,"x":1}`}),
		talks("message/ping", false, testHub, []string{`{"type":6}`}),
		talks("message/stray completion", false, testHub, []string{`{"type":3,"invocationId":"77","result":1}`}),
		talks("message/stray cancel", false, testHub, []string{`{"type":5,"invocationId":"77"}`}),
		talks("message/stray item", false, testHub, []string{`{"type":2,"invocationId":"77","item":1}`}),
		talks("message/stray item before its id", true, testHub, []string{`{"type":2,"item":1,"invocationId":"77"}`}),
		talks("message/ack and sequence without stateful", false, testHub, []string{`{"type":8,"sequenceId":1}`}, []string{`{"type":9,"sequenceId":1}`}),
		talks("message/object", false, testHub, []string{call("SendCustomObject", `[{"Name":"n","Value":3}]`),
			`{"type":1,"target":"CustomObject","arguments":[{"Name":"n","Value":3}]}`, `{"type":3,"invocationId":"1","result":null}`}),
		talks("message/complex object", false, testHub, []string{call("SendComplexObject", `[]`), `{"type":3,"invocationId":"1","result":{"String":"hello world",` +
			`"IntArray":[1,2,3],"ByteArray":"AQID","Guid":"00010203-0405-0607-0706-050403020100","DateTime":"2000-01-01T00:00:00Z"}}`}),
	}
	pad := strings.Repeat("x", 32768-len(call("Echo", `[""]`))-1)
	list = append(list, talks("message/longest", false, testHub, []string{call("Echo", `["`+pad+`"]`), `{"type":3,"invocationId":"1","result":"` + pad + `"}`}))
	for _, x := range []struct {
		name, say, hear string
		better          bool
	}{
		{"close", `{"type":7}`, `{"type":7}`, false},
		{"close with an error", `{"type":7,"error":"enough"}`, `{"type":7}`, false},
		{"too long", call("Echo", `["x`+pad+`"]`), `{"type":7,"error":"Connection closed with an error. InvalidDataException: The maximum message size of 32768B was exceeded. …",` +
			`"allowReconnect":true}`, false},
		{"no JSON", `{"type":`, `{"type":7,"error":"Connection closed with an error. InvalidDataException: Error reading JSON.","allowReconnect":true}`, false},
		{"array", `[]`, `{"type":7,"error":"Connection closed with an error. InvalidDataException: Unexpected JSON Token Type 'Array'. Expected a JSON Object.","allowReconnect":true}`, false},
		{"no type", `{}`, `{"type":7,"error":"Connection closed with an error. InvalidDataException: Missing required property 'type'.","allowReconnect":true}`, false},
		{"no target", `{"type":1,"arguments":[]}`, `{"type":7,"error":"Connection closed with an error. InvalidDataException: Missing required property 'target'.","allowReconnect":true}`, false},
	} {
		list = append(list, check{name: "message/" + x.name, better: x.better, run: func(p *probe) error {
			w, err := p.connect(testHub)
			if err != nil {
				return err
			}
			return all(w.talk([]string{x.say}, x.hear), w.closed(websocket.StatusNormalClosure))
		}})
	}
	return list
}

// streamChecks are about streams in both directions.
func streamChecks() []check {
	start := func(target string) string {
		return `{"type":4,"invocationId":"1","target":"` + target + `","arguments":[]}`
	}
	const upload = `{"type":1,"invocationId":"1","target":"StreamingConcat","arguments":[],"streamIds":["u"]}`
	item := func(text string) []string { return []string{`{"type":2,"invocationId":"u","item":"` + text + `"}`} }
	return []check{
		talks("stream/items", false, testHub, []string{start("Stream"), `{"type":2,"invocationId":"1","item":"a"}`,
			`{"type":2,"invocationId":"1","item":"b"}`, `{"type":2,"invocationId":"1","item":"c"}`, `{"type":3,"invocationId":"1"}`}),
		talks("stream/empty", false, testHub, []string{start("EmptyStream"), `{"type":3,"invocationId":"1"}`}),
		talks("stream/id in use", false, testHub, []string{start("InfiniteStream")},
			[]string{start("Stream"), fails("Invocation ID '1' is already in use.")}),
		{name: "stream/cancel", run: func(p *probe) error { return cancels(p, false) }},
		{name: "stream/cancel behind an id in use", better: true, run: func(p *probe) error { return cancels(p, true) }},
		talks("stream/upload", false, testHub, []string{upload}, item("a"), item("b"), []string{`{"type":3,"invocationId":"u"}`, `{"type":3,"invocationId":"1","result":"ab"}`}),
		talks("stream/upload that ends with a result", false, testHub, []string{upload}, item("a"),
			[]string{`{"type":3,"invocationId":"u","result":9}`, `{"type":3,"invocationId":"1","result":"a"}`}),
		talks("stream/upload that fails", false, testHub, []string{upload}, item("a"),
			[]string{`{"type":3,"invocationId":"u","error":"no more"}`, fails("An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: no more")}),
		talks("stream/upload of a wrong type", false, testHub, []string{upload, `{"type":2,"invocationId":"u","item":{}}`}[:1],
			[]string{`{"type":2,"invocationId":"u","item":{}}`, fails("An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: Failed to bind Stream message.…")}),
	}
}

// cancels starts a stream without items and cancels it, behind a second call with its id if twice.
func cancels(p *probe, twice bool) error {
	w, err := p.connect(testHub)
	if err != nil {
		return err
	}
	const start = `{"type":4,"invocationId":"1","target":"InfiniteStream","arguments":[]}`
	if err := w.say(start); err != nil {
		return err
	}
	if twice {
		if err := w.talk([]string{start}, fails("Invocation ID '1' is already in use.")); err != nil {
			return err
		}
	}
	// A stream that is cancelled before it has begun need not begin: this call gives it time.
	if err := w.talk([]string{`{"type":1,"invocationId":"3","target":"Echo","arguments":["begun"]}`}, `{"type":3,"invocationId":"3","result":"begun"}`); err != nil {
		return err
	}
	if err := w.say(`{"type":5,"invocationId":"1"}`, `{"type":1,"invocationId":"2","target":"Echo","arguments":["x"]}`); err != nil {
		return err
	}
	want := []string{`{"type":3,"invocationId":"1"}`, `{"type":1,"target":"StreamCanceled","arguments":[]}`, `{"type":3,"invocationId":"2","result":"x"}`}
	for len(want) > 0 { // their order is nobody's promise
		got, err := w.next()
		if err != nil {
			return fmt.Errorf("want %s: %w", strings.Join(want, " or "), cause(p.ctx, err))
		}
		found := false
		for i, one := range want {
			if found = same(got, one) == nil; found {
				want = append(want[:i], want[i+1:]...)
				break
			}
		}
		if !found {
			return fmt.Errorf("got %s, want %s", got, strings.Join(want, " or "))
		}
	}
	return nil
}
