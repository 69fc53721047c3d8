package api

import (
	"net/http"

	"github.com/clickagg/clickagg/internal/api/ui"
)

// pageRoutes are the dashboard and its files, by their path. They hold nothing that
// is secret; what the page shows, it asks for as everyone does.
func pageRoutes() map[string]*route {
	routes := map[string]*route{}
	for at, file := range ui.Find() {
		routes[at] = &route{name: "page", open: true, serve: func(w http.ResponseWriter, c *call) error {
			file.ServeHTTP(w, c.Request)
			return nil
		}}
	}
	return routes
}
