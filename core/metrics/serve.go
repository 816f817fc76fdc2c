package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
)

const (
	// retryFirst and retryMost bound the pause before another try to listen. The
	// port may be held by the process that this one takes the place of.
	retryFirst = 100 * time.Millisecond
	retryMost  = 10 * time.Second
	// patience is how long a port may be taken before it is worth a line.
	patience = 2 * time.Second
	// parallel is how many scrapes are answered at a time.
	parallel = 4
)

// Run serves until ctx ends. A port that cannot be listened at costs a line of
// the log and nothing else: it is tried again and again.
func (e *Endpoint) Run(ctx context.Context) {
	listener := e.listen(ctx)
	if listener == nil {
		return
	}
	log := e.options.Log
	server := &http.Server{
		Handler:           e.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.StandardLogger(nil),
	}
	ended := make(chan struct{})
	defer func() { <-ended }()
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = server.Close() // nobody is left to read the answer that is cut off
	})
	log.Info("serving metrics", "address", "http://"+listener.Addr().String()+"/metrics")
	err := server.Serve(listener)
	if stop() { // it ended by itself
		close(ended)
		log.Error("metrics are not served any more", "address", e.options.Address, "error", err)
	}
}

// listen returns the listener, or nil when ctx ended before there was one.
func (e *Endpoint) listen(ctx context.Context) net.Listener {
	var config net.ListenConfig
	said := false
	start := time.Now()
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		listener, err := config.Listen(ctx, "tcp", e.options.Address)
		if err == nil {
			return listener
		}
		if !said && ctx.Err() == nil && time.Since(start) >= patience {
			said = true
			e.options.Log.Warn("metrics are not served: another process has the address, or the node has none such; it is tried again, and metrics { address } can name another one",
				"address", e.options.Address, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// handler answers /metrics, and says at / where it is.
func (e *Endpoint) handler() http.Handler {
	mux := http.NewServeMux()
	free := make(chan struct{}, parallel)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		default:
			http.Error(w, "too many scrapes at a time", http.StatusServiceUnavailable)
			return
		}
		e.answer(w, r)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, e.options.Plugin+" "+e.options.Version+": metrics are at /metrics\n")
	})
	return mux
}

func (e *Endpoint) answer(w http.ResponseWriter, r *http.Request) {
	families, err := e.registry.Gather()
	if len(families) == 0 && err != nil {
		e.options.Log.Error("metrics cannot be gathered; please report this", "error", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	w.Header().Set("Content-Type", string(format))
	encoder := expfmt.NewEncoder(w, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			e.lost(r, err)
			return
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		if err := closer.Close(); err != nil {
			e.lost(r, err)
		}
	}
}

// lost says why an answer is not complete, unless the scraper went away.
func (e *Endpoint) lost(r *http.Request, err error) {
	if r.Context().Err() == nil && !errors.Is(err, http.ErrHandlerTimeout) {
		e.options.Log.Debug("a scrape was cut off", "error", err)
	}
}
