//! A GET that carries a credential of the guest's own.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};

/// Sends the request; gives the status and all that the guest can see of its own and the response's headers.
pub(crate) fn get(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no URL")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let own =
        [("authorization", "Bearer guest"), ("x-guest", "yes"), ("traceparent", "guest"), ("tracestate", "guest")];
    let headers = own.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let request = OutgoingRequest::new(Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "path")?;
    let own = request.headers();
    let pending = handle(request, None).map_err(|error| format!("{error:?}"))?;
    pending.subscribe().block();
    let arrived = pending.get().and_then(Result::ok).ok_or("no answer")?;
    let response = arrived.map_err(|error| format!("{error:?}"))?;
    let mut seen = format!("status {}\n", response.status());
    for (name, value) in own.entries().into_iter().chain(response.headers().entries()) {
        seen.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    Ok(seen)
}
