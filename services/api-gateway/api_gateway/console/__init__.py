"""The operations console at /console: server-rendered pages for ADMINs, fed by the services' /ops."""
