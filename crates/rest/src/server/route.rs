//! Routes: what is served, described in the same place.
//!
//! A [`Route`] is made of a handler whose types say what it takes and gives, so its description
//! cannot differ from what it does. A path is matched segment by segment; literal segments go
//! before parameters (`:jobid`).

use std::{future::Future, sync::Arc};

use futures::future::BoxFuture;
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    call::{Call, Upload},
    reply::Reply,
};
use crate::error::{RestError, RestResult};

type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, RestResult<Reply>> + Send + Sync>;
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route takes as its body.
#[derive(Clone, Copy)]
pub enum RequestKind {
    /// None.
    Nothing,
    /// JSON; an empty body is the empty object.
    Json(SchemaOf),
    /// A file, as a multipart form.
    Upload,
}

/// What a route gives.
#[derive(Clone, Copy)]
pub enum ResponseKind {
    /// JSON.
    Json(SchemaOf),
    /// Text, which may be long.
    Text,
}

/// A query parameter.
#[derive(Clone, Copy, Debug)]
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
}

/// One method of one path.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; segments that begin with a colon are parameters.
    pub path: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Query parameters.
    pub query: &'static [QueryParameter],
    /// Body of the request.
    pub request: RequestKind,
    /// Status of a good answer.
    pub status: StatusCode,
    /// Body of a good answer.
    pub response: ResponseKind,
    pub(crate) permission: Permission,
    handler: Handler,
}

/// Which setting a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// None.
    Always,
    /// `web.submit.enable`.
    Submit,
    /// `web.cancel.enable`.
    Cancel,
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    /// A route without a body.
    pub(crate) fn new<T, F>(
        method: Method,
        path: &'static str,
        description: &'static str,
        handler: fn(Call) -> F,
    ) -> Self
    where
        T: Serialize + JsonSchema,
        F: Future<Output = RestResult<T>> + Send + 'static,
    {
        Self {
            method,
            path,
            description,
            query: &[],
            request: RequestKind::Nothing,
            status: StatusCode::OK,
            response: ResponseKind::Json(schema_of::<T>),
            permission: Permission::Always,
            handler: Arc::new(move |call| {
                let answer = handler(call);
                Box::pin(async move { Reply::json(&answer.await?) })
            }),
        }
    }

    /// `GET`.
    pub(crate) fn get<T, F>(
        path: &'static str,
        description: &'static str,
        handler: fn(Call) -> F,
    ) -> Self
    where
        T: Serialize + JsonSchema,
        F: Future<Output = RestResult<T>> + Send + 'static,
    {
        Self::new(Method::GET, path, description, handler)
    }

    /// A route that takes JSON.
    pub(crate) fn with_body<B, T, F>(
        method: Method,
        path: &'static str,
        description: &'static str,
        handler: fn(Call, B) -> F,
    ) -> Self
    where
        B: DeserializeOwned + JsonSchema + Send + 'static,
        T: Serialize + JsonSchema,
        F: Future<Output = RestResult<T>> + Send + 'static,
    {
        let run = move |mut call: Call| -> BoxFuture<'static, RestResult<Reply>> {
            Box::pin(async move {
                let body = call.read_json::<B>().await?;
                Reply::json(&handler(call, body).await?)
            })
        };
        Self {
            request: RequestKind::Json(schema_of::<B>),
            response: ResponseKind::Json(schema_of::<T>),
            handler: Arc::new(run),
            ..Self::new(method, path, description, nothing)
        }
    }

    /// A route that takes a file.
    pub(crate) fn upload<T, F>(
        path: &'static str,
        description: &'static str,
        handler: fn(Call, Upload) -> F,
    ) -> Self
    where
        T: Serialize + JsonSchema,
        F: Future<Output = RestResult<T>> + Send + 'static,
    {
        let run = move |mut call: Call| -> BoxFuture<'static, RestResult<Reply>> {
            Box::pin(async move {
                let upload = call.upload()?;
                Reply::json(&handler(call, upload).await?)
            })
        };
        Self {
            request: RequestKind::Upload,
            response: ResponseKind::Json(schema_of::<T>),
            handler: Arc::new(run),
            ..Self::new(Method::POST, path, description, nothing)
        }
    }

    /// A route that gives text.
    pub(crate) fn text<F>(
        path: &'static str,
        description: &'static str,
        handler: fn(Call) -> F,
    ) -> Self
    where
        F: Future<Output = RestResult<Reply>> + Send + 'static,
    {
        Self {
            response: ResponseKind::Text,
            handler: Arc::new(move |call| Box::pin(handler(call))),
            ..Self::new(Method::GET, path, description, nothing)
        }
    }

    pub(crate) fn accepted(self) -> Self {
        Self { status: StatusCode::ACCEPTED, ..self }
    }

    pub(crate) fn query(self, query: &'static [QueryParameter]) -> Self {
        Self { query, ..self }
    }

    pub(crate) fn needs(self, permission: Permission) -> Self {
        Self { permission, ..self }
    }

    /// The same under another path.
    pub(crate) fn at(&self, path: &'static str) -> Self {
        Self { path, ..self.clone() }
    }

    /// The same by another method.
    pub(crate) fn by(&self, method: Method) -> Self {
        Self { method, ..self.clone() }
    }

    pub(crate) async fn run(&self, call: Call) -> RestResult<Reply> {
        (self.handler)(call).await
    }

    /// Names of the parameters in the path.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix(':'))
    }

    /// The values of the path's parameters, if the segments are this path's.
    fn matches(&self, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
        let mut values = Vec::new();
        let mut given = segments.iter();
        for wanted in self.path.split('/').skip(1) {
            let segment = given.next()?;
            match wanted.strip_prefix(':') {
                Some(name) if !segment.is_empty() => values.push((name, segment.clone())),
                None if segment == wanted => {}
                _ => return None,
            }
        }
        given.next().is_none().then_some(values)
    }
}

async fn nothing(_: Call) -> RestResult<()> {
    Ok(())
}

/// A table of routes.
pub struct Router {
    routes: Vec<Route>,
}

/// The parameters of a path: names and values.
pub(crate) type PathValues = Vec<(&'static str, String)>;

impl Router {
    /// Of these routes.
    pub fn new(mut routes: Vec<Route>) -> Self {
        // Literal segments first: '/' and ':' go before letters in ASCII, so parameters are put last.
        routes.sort_by_key(|route| route.path.replace(':', "~"));
        Self { routes }
    }

    /// All routes.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route of a request, with the values of the path's parameters.
    pub(crate) fn find(
        &self,
        method: &Method,
        segments: &[String],
    ) -> RestResult<(Route, PathValues)> {
        let mut others = Vec::new();
        for route in &self.routes {
            match route.matches(segments) {
                Some(values) if route.method == *method => return Ok((route.clone(), values)),
                Some(_) => others.push(route.method.as_str()),
                None => {}
            }
        }
        if others.is_empty() {
            let path: String = segments.join("/").chars().take(200).collect();
            return Err(RestError::not_found(format!("Not found: /{path}")));
        }
        others.dedup();
        let allow = others.join(", ");
        let text = format!("the path takes {allow}");
        let error = RestError::new(StatusCode::METHOD_NOT_ALLOWED, text);
        Err(RestError { allow: Some(allow), ..error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: Method, path: &str) -> String {
        let paths =
            ["/jobs", "/jobs/:jobid", "/jobs/overview", "/jobs/:jobid/plan", "/jobs/:jobid"];
        let mut routes: Vec<Route> =
            paths.iter().map(|path| Route::get(path, "", nothing)).collect();
        routes[4].method = Method::PATCH;
        let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        match Router::new(routes).find(&method, &segments) {
            Ok((route, values)) => format!("{} {values:?}", route.path),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn literal_segments_go_before_parameters() {
        assert_eq!(find(Method::GET, "/jobs/overview"), "/jobs/overview []");
        assert_eq!(find(Method::GET, "/jobs/x"), r#"/jobs/:jobid [("jobid", "x")]"#);
        assert_eq!(find(Method::PATCH, "/jobs/x"), r#"/jobs/:jobid [("jobid", "x")]"#);
        assert_eq!(find(Method::GET, "/jobs/x/plan"), r#"/jobs/:jobid/plan [("jobid", "x")]"#);
    }

    #[test]
    fn what_is_not_there_is_not_found_and_a_wrong_method_is_told_the_right_one() {
        assert_eq!(find(Method::GET, "/jobs/"), "404 Not Found: Not found: /jobs/");
        assert_eq!(find(Method::GET, "/jobs/x/y/z"), "404 Not Found: Not found: /jobs/x/y/z");
        let wrong = "405 Method Not Allowed: the path takes GET, PATCH";
        assert_eq!(find(Method::DELETE, "/jobs/x"), wrong);
    }
}
