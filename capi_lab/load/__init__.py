"""Files to contract tables. Every loader returns `Loaded`: the table, and an account of every row."""

from capi_lab.load.anyformat import any_format
from capi_lab.load.aws_logs import alb_log, cloudfront_log
from capi_lab.load.crm import crm_leads
from capi_lab.load.ga4 import ga4_bigquery, ga4_clicks, ga4_fivetran
from capi_lab.load.google_ads import google_click_view
from capi_lab.load.gtm import gtm_server_log
from capi_lab.load.pixels import pixel_har
from capi_lab.load.reports import platform_report
from capi_lab.load.result import Loaded, LoadReport
from capi_lab.load.sample import Sample, sample, samples
from capi_lab.load.segment import segment_pages, segment_tracks
from capi_lab.load.shopify import shopify_orders
from capi_lab.load.shopify_pixel import shopify_events
from capi_lab.load.snowplow import snowplow_events
from capi_lab.load.stripe import stripe_payments
from capi_lab.load.table import table
from capi_lab.load.weblogs import access_log
from capi_lab.load.woocommerce import woocommerce_orders

__all__ = [
    "LoadReport",
    "Loaded",
    "Sample",
    "access_log",
    "alb_log",
    "any_format",
    "cloudfront_log",
    "crm_leads",
    "ga4_bigquery",
    "ga4_clicks",
    "ga4_fivetran",
    "google_click_view",
    "gtm_server_log",
    "pixel_har",
    "platform_report",
    "sample",
    "samples",
    "segment_pages",
    "segment_tracks",
    "shopify_events",
    "shopify_orders",
    "snowplow_events",
    "stripe_payments",
    "table",
    "woocommerce_orders",
]
