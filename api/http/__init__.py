"""The HTTP service: the application, authentication, limits, problem documents and the OpenAPI document."""
