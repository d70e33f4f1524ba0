package gateway_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

func Example() {
	g := gateway.New(gateway.Config{})
	g.AddHub("chatservice", gateway.Hub{URL: "http://localhost:5006/ChatHub"}).
		AddRoute("room", gateway.HubRoute{InvokeMethod: "SendMessage", ReceiveMethod: "ReceiveMessage"})
	g.AddAPI("weatherservice", gateway.API{BaseURLs: []string{"http://localhost:5002"}, Balance: gateway.RoundRobin}).
		AddRoute("forecast", gateway.Route{Path: "weatherforecast/{city}"})
	if err := g.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close(context.Background())

	w := httptest.NewRecorder() // an http.Server elsewhere
	g.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api/gateway/orchestration?key=room", nil))
	fmt.Println(w.Body)
	// Output:
	// [{"api":"chatservice","orchestrationType":1,"hubRoutes":[{"key":"room","invokeMethod":"SendMessage","receiveMethod":"ReceiveMessage","receiveGroup":"","broadcastType":"All","receiveParameterTypes":[]}]}]
}
