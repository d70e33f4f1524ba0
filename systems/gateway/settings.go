package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// settingsEntry is a service in the form of Veritas' gateway. Names are matched without regard to case.
type settingsEntry struct {
	Identifier         string // of the entry, of no use here
	APIKey             string
	BackendAPIBaseURLs []string
	Routes             []json.RawMessage
}

// settingsRoute is a route in that form.
type settingsRoute struct {
	Identifier                       string
	RouteKey                         string
	Verb                             string
	BackendAPIRoutePath              string
	ResponseCachingDurationInSeconds *int // negative: that of the service
}

// AddSettings registers the services of a configuration file for Veritas' gateway, which is JSON of the form
//
//	{"Settings": [{"ApiKey": "weatherservice", "BackendAPIBaseUrls": ["http://localhost:5002"], "Routes": [
//	  {"RouteKey": "forecast", "Verb": "GET", "BackendAPIRoutePath": "weatherforecast/forecast", "ResponseCachingDurationInSeconds": 5}]}]}
//
// Whatever stands beside Settings is for others. It fails, and registers nothing, if the text cannot be read, with where that is;
// what is read and cannot be used is for [Routes.Err], as it is with [Routes.AddAPI].
func (r *Routes) AddSettings(text []byte) error {
	var file struct{ Settings []json.RawMessage }
	if err := json.Unmarshal(text, &file); err != nil {
		return fmt.Errorf("gateway: settings: %s%w", lineOf(text, err), err)
	}
	if file.Settings == nil {
		return errors.New("gateway: settings: no Settings, want a list of services")
	}
	entries := make([]settingsEntry, len(file.Settings))
	routes := make([][]settingsRoute, len(file.Settings))
	for i, raw := range file.Settings {
		if err := strict(raw, &entries[i]); err != nil {
			return fmt.Errorf("gateway: settings: Settings[%d]: %w", i, err)
		}
		routes[i] = make([]settingsRoute, len(entries[i].Routes))
		for j, raw := range entries[i].Routes {
			if err := strict(raw, &routes[i][j]); err != nil {
				return fmt.Errorf("gateway: settings: Settings[%d].Routes[%d]: %w", i, j, err)
			}
		}
	}
	for i, e := range entries {
		a := r.AddAPI(e.APIKey, API{BaseURLs: e.BackendAPIBaseURLs})
		for _, x := range routes[i] {
			route := Route{Verb: x.Verb, Path: x.BackendAPIRoutePath}
			if s := x.ResponseCachingDurationInSeconds; s != nil && *s > 0 {
				route.Cache = time.Duration(*s) * time.Second
			}
			a.AddRoute(x.RouteKey, route)
		}
	}
	return nil
}

// strict reads one value and refuses names that it does not know: a route that is not what was meant should show at once.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

// lineOf says in which line of text a mistake is, if err tells.
func lineOf(text []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok || syntax.Offset > int64(len(text)) {
		return ""
	}
	return fmt.Sprintf("line %d: ", 1+bytes.Count(text[:syntax.Offset], []byte("\n")))
}
